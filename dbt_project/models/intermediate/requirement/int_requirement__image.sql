-- Whether the images of an examination are of the kinds that its order asks for. Pictures that were made of images (DERIVED) are no acquisitions.
with shown as (
    select
        s.site_id, s.accession_number, s.series_uid, s.device_id, s.acquired_at_utc, s.recorded_at_utc, s.modality,
        e.exam_code, e.exam_day,
        case
            when contains(upper(s.image_type), 'WHOLE BODY') then 'WHOLE BODY'
            else nullif(trim(split_part(upper(s.image_type), '\', 3)), '')
        end as image_class
    from {{ ref('int_examination__series') }} as s
    inner join {{ ref('int_examination__known') }} as e on s.site_id = e.site_id and s.accession_number = e.accession_number
    where s.modality in ('NM', 'PT', 'CT') and not coalesce(s.image_type, '') like 'DERIVED%'
),

measured as (
    select site_id, series_uid, max(procedure) as procedure
    from {{ ref('int_measure__judged') }}
    where analysis = 'clinical' and is_current and procedure is not null
    group by site_id, series_uid
),

in_force as (
    select
        e.site_id, e.accession_number, i.*,
        row_number() over (
            partition by e.site_id, e.accession_number, i.modality, i.image_class order by i.version desc
        ) as newest_first
    from {{ ref('int_examination__known') }} as e
    inner join {{ ref('exam_images') }} as i
        on e.exam_code = i.exam_code and i.valid_from <= e.exam_day and (i.valid_until is null or i.valid_until >= e.exam_day)
),

wanted as (
    select * from in_force where newest_first = 1
),

clinical as (
    select distinct procedure from {{ ref('exam_images') }} where procedure is not null
),

-- class by the header, procedure by what the analysis made of it; a class that the header does not say is left to the procedure
matched as (
    select
        s.site_id, s.accession_number, s.series_uid, s.exam_code, s.device_id, s.modality, s.image_class, s.acquired_at_utc, s.recorded_at_utc,
        m.procedure,
        count(w.exam_code) as wants,
        max(case when s.modality = w.modality and (w.image_class is null or w.image_class = s.image_class) then 1 else 0 end) as class_fits,
        max(case when m.procedure = w.procedure then 1 else 0 end) as procedure_fits,
        max(case
            when
                w.role = 'required' and s.modality = w.modality
                and (w.image_class is null or w.image_class = s.image_class or (s.image_class is null and m.procedure = w.procedure))
                then 1
            else 0
        end) as is_required,
        max(c.procedure) as clinical_procedure
    from shown as s
    left join measured as m on s.site_id = m.site_id and s.series_uid = m.series_uid
    left join wanted as w on s.site_id = w.site_id and s.accession_number = w.accession_number
    left join clinical as c on m.procedure = c.procedure
    group by
        s.site_id, s.accession_number, s.series_uid, s.exam_code, s.device_id, s.modality, s.image_class, s.acquired_at_utc, s.recorded_at_utc,
        m.procedure
),

judged as (
    select
        site_id, accession_number, series_uid, exam_code, device_id, acquired_at_utc, recorded_at_utc, procedure, modality, image_class, wants > 0 as is_planned,
        case
            when wants = 0 then null
            when procedure_fits = 1 then true
            when clinical_procedure is not null then false
            when image_class is null and modality = 'NM' then null
            else class_fits = 1
        end as fits,
        is_required = 1 and (clinical_procedure is null or procedure_fits = 1) as is_required
    from matched
)

-- an image that serves several examinations is judged by the one that it fits best
select
    *,
    row_number() over (
        partition by site_id, series_uid order by case when fits then 0 when fits is null then 1 else 2 end, accession_number
    ) as best_first
from judged
