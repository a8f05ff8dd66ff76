with ranked as (
    select
        *,
        row_number() over (partition by site_id, source, event_id order by recorded_at_utc desc, journal_offset desc) as newest_first
    from {{ source('lake', 'events') }}
    where type not in ('sensor.readings', 'dicom.instance')
)

select
    site_id,
    source,
    event_id,
    journal || '/' || {{ text('journal_offset') }} as record_id,
    type,
    subject,
    {{ utc('occurred_at_utc') }} as occurred_at_utc,
    {{ utc('recorded_at_utc') }} as recorded_at_utc,
    sha256,
    journal,
    journal_offset,
    data
from ranked
where newest_first = 1
