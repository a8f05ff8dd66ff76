select
    site_id,
    event_id,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.device_id') }} as device_id,
    {{ json_text('data', '$.kind') }} as kind,
    {{ json_utc('data', '$.started_at_utc') }} as started_at_utc,
    {{ json_utc('data', '$.ended_at_utc') }} as ended_at_utc,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ json_text('data', '$.note') }} as note
from {{ ref('stg_lake__event') }}
where type = 'device.maintenance'
