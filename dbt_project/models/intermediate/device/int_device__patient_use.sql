-- A device is used when a patient's step happens on it or a patient's images come from it, ordered or not. Images that name no request and that a
-- phantom procedure could measure are a phantom's, whatever their patient id says; pictures that were made of images are no acquisitions.
with phantoms as (
    select distinct site_id, series_uid
    from {{ ref('int_measure__judged') }}
    where analysis = 'phantom' and status in ('measured', 'indicative')
),

used as (
    select site_id, device_id, accession_number, started_at_utc as used_at_utc
    from {{ ref('int_examination__performed_step') }}
    where device_id is not null and step in ('positioning', 'acquisition')

    union all

    select c.site_id, c.device_id, coalesce(c.accession_number, c.study_uid) as accession_number, c.acquired_at_utc as used_at_utc
    from {{ ref('int_series__current') }} as c
    left join phantoms as p on c.site_id = p.site_id and c.series_uid = p.series_uid
    where
        not c.is_phantom and c.device_id <> 'UNREGISTERED' and c.acquired_at_utc is not null
        and (
            c.is_examination
            or (c.modality in ('NM', 'PT', 'CT') and coalesce(c.image_type, '') not like 'DERIVED%' and (c.told_number is not null or p.series_uid is null))
        )
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
