-- A device is used when a patient's step happens on it or a patient's images come from it.
with used as (
    select site_id, device_id, accession_number, started_at_utc as used_at_utc
    from {{ ref('int_examination__performed_step') }}
    where device_id is not null and step in ('positioning', 'acquisition')

    union all

    select site_id, device_id, coalesce(accession_number, study_uid) as accession_number, acquired_at_utc as used_at_utc
    from {{ ref('int_series__current') }}
    where not is_phantom and device_id <> 'UNREGISTERED' and acquired_at_utc is not null
)

select
    u.site_id,
    u.device_id,
    {{ local_day('u.used_at_utc', 's.time_zone') }} as day,
    min(u.used_at_utc) as first_patient_at_utc,
    count(distinct u.accession_number) as examinations
from used as u
inner join {{ ref('sites') }} as s on u.site_id = s.site_id
group by u.site_id, u.device_id, {{ local_day('u.used_at_utc', 's.time_zone') }}
