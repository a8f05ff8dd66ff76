select
    site_id,
    event_id,
    occurred_at_utc,
    -- a sender's clock that is fast tells nothing of the future
    least(occurred_at_utc, recorded_at_utc) as happened_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ precision_s(json_text('data', '$.occurred_precision'), json_text('data', '$.occurred_span_s')) }} as occurred_precision_s,
    {{ json_text('data', '$.trigger') }} as trigger,
    {{ json_text('data', '$.patient_pseudonym') }} as patient_pseudonym,
    {{ json_text('data', '$.sex') }} as sex,
    try_cast({{ json_text('data', '$.birth_year') }} as integer) as birth_year,
    {{ json_text('data', '$.visit_number') }} as visit_number,
    {{ json_text('data', '$.location') }} as location
from {{ ref('stg_lake__event') }}
where type = 'his.patient'
