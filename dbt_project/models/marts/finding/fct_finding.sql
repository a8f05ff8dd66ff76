with found as (
    select * from {{ ref('int_finding__examination') }}
    union all
    select * from {{ ref('int_finding__requirement') }}
    union all
    select * from {{ ref('int_finding__device') }}
    union all
    select * from {{ ref('int_finding__place') }}
    union all
    select * from {{ ref('int_finding__linkage') }}
),

dated as (
    select f.*, {{ local_day('f.occurred_at_utc', 's.time_zone') }} as day
    from found as f
    inner join {{ ref('sites') }} as s on f.site_id = s.site_id
),

-- the version in force on the day; a rule that was not in force raises nothing
ruled as (
    select
        d.*,
        r.version as rule_version, r.severity as rule_severity, r.clause as rule_clause, r.requirement, r.title_en, r.title_zh,
        row_number() over (partition by d.site_id, d.rule_id, d.subject_id order by r.version desc) as best_first
    from dated as d
    inner join {{ ref('rules') }} as r
        on
            d.rule_id = r.rule_id
            and (d.day is null or (r.valid_from <= d.day and (r.valid_until is null or r.valid_until >= d.day)))
),

graded as (
    select
        *,
        md5(site_id || '|' || rule_id || '|' || subject_id) as finding_id,
        coalesce(clause, rule_clause) as clause_in_force,
        case when rule_severity = 'fail' and worst = 'warn' then 'warn' else rule_severity end as severity
    from ruled
    where best_first = 1
),

ranked as (
    select
        *,
        row_number() over (
            order by case severity when 'fail' then 0 when 'warn' then 1 else 2 end, occurred_at_utc desc nulls last, finding_id
        ) as rank
    from graded
),

final as (
    select
        finding_id, site_id, rule_id, rule_version, severity, clause_in_force as clause, requirement, subject_kind, subject_id, device_id, room_id,
        accession_number, staff_id, occurred_at_utc, value, unit, limit_text, title_en, title_zh, reason, picture_href, source_mart, rank
    from ranked
)

{{ contracted('final') }}
