-- Forms that a step needed, and whether each was signed, complete and still valid when it began. `judgement/readiness.py` says the same before.
with required as (
    select
        m.*, f.requirement_id, f.version as requirement_version, f.form, f.sex as only_sex, f.age_min, f.age_max, f.valid_hours, f.on_missing,
        f.name_en, f.name_zh,
        row_number() over (partition by m.site_id, m.accession_number, m.step, f.requirement_id order by f.version desc) as newest_first
    from {{ ref('int_requirement__moment') }} as m
    inner join {{ ref('exam_forms') }} as f
        on
            m.exam_code = f.exam_code and m.step = f.before_step
            and f.valid_from <= m.day and (f.valid_until is null or f.valid_until >= m.day)
),

-- who is not known to be excepted is asked; the birthday may still be to come
concerned as (
    select *
    from required
    where
        newest_first = 1
        and (only_sex is null or sex is null or sex not in ('M', 'F') or sex = only_sex)
        and (
            birth_year is null
            or (
                extract(year from day) - birth_year >= coalesce(age_min, 0)
                and extract(year from day) - birth_year - 1 <= coalesce(age_max, 1000)
            )
        )
),

signed as (
    select
        c.site_id, c.accession_number, c.step, c.form, s.signed_at_utc, s.complete,
        row_number() over (
            partition by c.site_id, c.accession_number, c.step, c.requirement_id
            order by s.signed_at_utc desc, s.recorded_at_utc desc, s.journal_offset desc
        ) as newest_first
    from concerned as c
    inner join ({{ linked('stg_door__form') }}) as s
        on c.site_id = s.site_id and c.accession_number = s.accession_number and c.form = s.form and s.signed_at_utc <= c.at_utc
),

judged as (
    select
        c.*, s.signed_at_utc,
        case
            when s.signed_at_utc is null then {{ because('form.not_signed', {'form': named('c.name_en', 'c.name_zh')}) }}
            when not s.complete then {{ because('form.not_complete', {'form': named('c.name_en', 'c.name_zh')}) }}
            when {{ seconds_between('s.signed_at_utc', 'c.at_utc') }} > c.valid_hours * 3600
                then
                    {{ because('form.too_old', {'form': named('c.name_en', 'c.name_zh'), 'signed_at': moment_text('s.signed_at_utc'),
                        'valid_hours': rounded('cast(c.valid_hours as double)')}) }}
        end as reason
    from concerned as c
    left join signed as s
        on c.site_id = s.site_id and c.accession_number = s.accession_number and c.step = s.step and c.form = s.form and s.newest_first = 1
)

select
    site_id, accession_number, step, requirement_id, requirement_version, form as subject, at_utc, staff_id, room_id,
    case when reason is not null then on_missing end as effect, true as is_known, reason
from judged
