select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ json_text('data', '$.role') }} as role,
    {{ json_text('data', '$.credential') }} as credential,
    {{ json_text('data', '$.issuer') }} as issuer,
    {{ json_utc('data', '$.valid_from_utc') }} as valid_from_utc,
    {{ json_utc('data', '$.valid_until_utc') }} as valid_until_utc
from {{ ref('stg_lake__event') }}
where type = 'staff.credential'
