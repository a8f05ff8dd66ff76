with messages as (
    select site_id, event_id, record_id, occurred_at_utc, recorded_at_utc, journal_offset, data
    from {{ ref('stg_lake__event') }}
    where type = 'his.observation'
),

each_one as (
    select *, {{ json_each('data', '$.observations') }} as observation
    from messages
)

select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    case
        when {{ json_utc('data', '$.observed_at_utc') }} is not null then {{ precision_s(json_text('data', '$.observed_precision')) }}
        else {{ precision_s(json_text('data', '$.occurred_precision'), json_text('data', '$.occurred_span_s')) }}
    end as observed_precision_s,
    coalesce({{ json_utc('data', '$.observed_at_utc') }}, occurred_at_utc) as measured_at_utc,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.patient_pseudonym') }} as patient_pseudonym,
    {{ json_utc('data', '$.observed_at_utc') }} as observed_at_utc,
    {{ json_text('observation', '$.code') }} as code,
    {{ json_text('observation', '$.name') }} as name,
    {{ json_text('observation', '$.value') }} as value,
    {{ json_text('observation', '$.unit') }} as unit,
    {{ json_text('observation', '$.reference_range') }} as reference_range,
    {{ json_text('observation', '$.status') }} as status,
    {{ json_text('data', '$.result_status') }} as result_status
from each_one
