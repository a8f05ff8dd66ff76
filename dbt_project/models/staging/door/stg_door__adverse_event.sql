select
    site_id,
    event_id,
    record_id,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.event_number') }} as event_number,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.device_id') }} as device_id,
    {{ json_text('data', '$.room_id') }} as room_id,
    {{ json_text('data', '$.category') }} as category,
    {{ json_text('data', '$.severity') }} as severity,
    {{ json_utc('data', '$.occurred_at_utc') }} as occurred_at_utc,
    {{ json_utc('data', '$.reported_at_utc') }} as reported_at_utc,
    {{ json_text('data', '$.reported_by') }} as reported_by,
    {{ json_text('data', '$.description') }} as description
from {{ ref('stg_lake__event') }}
where type = 'adverse.event'
