select
    site_id,
    event_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.channel') }} as channel,
    {{ json_text('data', '$.message_id') }} as message_id,
    {{ json_text('data', '$.outcome') }} as outcome,
    {{ event_reason() }} as reason,
    {{ json_text('data', '$.sha256') }} as sha256,
    try_cast({{ json_text('data', '$.size_bytes') }} as bigint) as size_bytes,
    {{ json_text('data', '$.sender') }} as sender
from {{ ref('stg_lake__event') }}
where type = 'intake.outcome'
