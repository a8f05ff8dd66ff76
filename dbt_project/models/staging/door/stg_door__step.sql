{%- set happened = json_utc('data', '$.started_at_utc') -%}
select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.step') }} as step,
    try_cast({{ json_text('data', '$.occurrence') }} as integer) as occurrence,
    {{ by_arrival('$.started_at_utc', happened) }} as started_at_utc,
    {{ by_arrival('$.ended_at_utc', happened) }} as ended_at_utc,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ device_named(json_text('data', '$.device_id')) }} as device_id,
    {{ json_text('data', '$.room_id') }} as room_id,
    {{ json_text('data', '$.result') }} as result,
    {{ json_text('data', '$.note') }} as note
from {{ ref('stg_lake__event') }}
where type = 'examination.step'
