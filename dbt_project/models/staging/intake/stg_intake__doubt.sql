with told as (
    select site_id, source, event_id, type, occurred_at_utc, recorded_at_utc, data
    from {{ ref('stg_lake__event') }}
    where type in ('his.order', 'his.patient', 'his.observation', 'dicom.series')
),

each_one as (
    select *, {{ json_each('data', '$.doubts') }} as doubt
    from told
)

select
    site_id,
    source,
    event_id,
    type,
    occurred_at_utc,
    recorded_at_utc,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('doubt', '$.field') }} as field,
    {{ json_text('doubt', '$.doubt') }} as doubt
from each_one
