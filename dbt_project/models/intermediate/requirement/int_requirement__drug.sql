-- Drugs that a patient had taken when a step began and that the examination wants withheld: each with the row that speaks of it most exactly.
with asked as (
    select
        m.*, a.drugs,
        row_number() over (
            partition by m.site_id, m.accession_number, m.step order by a.asked_at_utc desc, a.recorded_at_utc desc, a.journal_offset desc
        ) as newest_first
    from {{ ref('int_requirement__moment') }} as m
    inner join ({{ linked('stg_door__answer') }}) as a
        on m.site_id = a.site_id and m.accession_number = a.accession_number and a.item = 'medication' and a.asked_at_utc <= m.at_utc
),

each_one as (
    select *, {{ json_each('drugs', '$') }} as drug
    from asked
    where newest_first = 1
),

-- of one drug that was told more than once the last intake counts, one that nobody knows above all
taken as (
    select
        *,
        row_number() over (partition by site_id, accession_number, step, atc order by coalesce(days, -1)) as worst_first
    from (
        select
            site_id, accession_number, step, at_utc, staff_id, room_id, day, exam_code,
            {{ json_text('drug', '$.atc') }} as atc,
            {{ seconds_between(json_utc('drug', '$.last_taken_at_utc'), 'at_utc') }} / 86400.0 as days
        from each_one
    ) as t
),

in_force as (
    select
        t.*, d.requirement_id, d.version as requirement_version, d.atc as row_atc, d.withhold_days, d.effect as row_effect,
        d.name_en, d.name_zh,
        t.atc like d.atc || '%' as is_named,
        row_number() over (partition by t.site_id, t.accession_number, t.step, t.atc, d.requirement_id order by d.version desc) as newest_first
    from taken as t
    inner join {{ ref('interfering_drugs') }} as d
        on
            t.exam_code = d.exam_code and t.step = d.before_step
            and d.valid_from <= t.day and (d.valid_until is null or d.valid_until >= t.day)
    where t.worst_first = 1
),

best as (
    select
        *,
        row_number() over (
            partition by site_id, accession_number, step, atc
            order by
                case when is_named then 0 else 1 end, case when is_named then length(row_atc) else withhold_days end desc, row_atc desc
        ) as best_first
    from in_force
    where newest_first = 1 and (is_named or row_atc like atc || '%')
)

select
    site_id, accession_number, step, requirement_id, requirement_version, atc as subject, at_utc, staff_id, room_id,
    days as value, 'd' as unit, withhold_days,
    case when days is null or days < withhold_days then row_effect end as effect,
    days is not null as is_known,
    case
        when days is null
            then
                {{ because('drug.unknown_time', {'drug': named('name_en', 'name_zh'), 'atc': 'atc', 'withhold_days': rounded('withhold_days')}) }}
        when days < withhold_days
            then
                {{ because('drug.too_recent', {'drug': named('name_en', 'name_zh'), 'atc': 'atc', 'days': rounded('days'),
                    'withhold_days': rounded('withhold_days')}) }}
    end as reason
from best
where best_first = 1
