select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.form') }} as form,
    {{ told_moment('$.signed_at_utc') }} as signed_at_utc,
    {{ json_text('data', '$.staff_id') }} as staff_id,
    {{ json_boolean('data', '$.complete') }} as complete
from {{ ref('stg_lake__event') }}
where type = 'form.signed'
