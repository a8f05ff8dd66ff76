select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ device_named(json_text('data', '$.device_id')) }} as device_id,
    {{ json_text('data', '$.check') }} as check_name,
    {{ told_moment('$.performed_at_utc') }} as performed_at_utc,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ json_text('data', '$.result') }} as result,
    {{ json_number('data', '$.value') }} as value,
    {{ json_text('data', '$.unit') }} as unit,
    {{ json_text('data', '$.note') }} as note
from {{ ref('stg_lake__event') }}
where type = 'device.check'
