select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.action') }} as action,
    {{ event_reason() }} as reason,
    {{ json_text('data', '$.policy_id') }} as policy_id,
    cast({{ json_number('data', '$.policy_version') }} as integer) as policy_version,
    {{ json_text('data', '$.approver') }} as approver
from {{ ref('stg_lake__event') }}
where type = 'examination.hold'
