select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.device_id') }} as device_id,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ json_text('data', '$.reason') }} as override_reason,
    {{ json_utc('data', '$.until_utc') }} as until_utc
from {{ ref('stg_lake__event') }}
where type = 'device.hold_override'
