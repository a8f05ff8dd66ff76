select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.device_id') }} as device_id,
    {{ json_text('data', '$.action') }} as action,
    {{ json_text('data', '$.state') }} as state,
    {{ event_reason() }} as reason,
    {{ json_text('data', '$.policy_id') }} as policy_id,
    cast({{ json_number('data', '$.policy_version') }} as integer) as policy_version,
    {{ json_text('data', '$.approver') }} as approver,
    {{ json_text('data', '$.override_id') }} as override_id,
    {{ json_text('data', '$.overridden_by') }} as staff_id,
    {{ json_text('data', '$.override_reason') }} as override_reason,
    {{ json_utc('data', '$.override_until_utc') }} as until_utc
from {{ ref('stg_lake__event') }}
where type = 'device.hold'
