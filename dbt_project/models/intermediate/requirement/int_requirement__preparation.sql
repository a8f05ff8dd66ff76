-- How the patient was prepared when a step began, against the bounds in force; what nobody asked or measured says so.
with required as (
    select
        m.*, p.requirement_id, p.version as requirement_version, p.item, p.unit, p.warn_low, p.warn_high, p.block_low, p.block_high, p.on_unknown,
        p.observation_codes, p.name_en, p.name_zh,
        row_number() over (partition by m.site_id, m.accession_number, m.step, p.requirement_id order by p.version desc) as newest_first
    from {{ ref('int_requirement__moment') }} as m
    inner join {{ ref('exam_preparation') }} as p
        on
            m.exam_code = p.exam_code and m.step = p.before_step
            and p.valid_from <= m.day and (p.valid_until is null or p.valid_until >= m.day)
),

answered as (
    select
        r.site_id, r.accession_number, r.step, r.requirement_id, a.asked_at_utc, a.since_utc, a.value,
        row_number() over (
            partition by r.site_id, r.accession_number, r.step, r.requirement_id
            order by a.asked_at_utc desc, a.recorded_at_utc desc, a.journal_offset desc
        ) as newest_first
    from required as r
    inner join {{ ref('stg_door__answer') }} as a
        on r.site_id = a.site_id and r.accession_number = a.accession_number and r.item = a.item and a.asked_at_utc <= r.at_utc
    where r.newest_first = 1
),

measured as (
    select
        r.site_id, r.accession_number, r.step, r.requirement_id, o.event_id, o.measured_at_utc, o.observed_precision_s, o.recorded_at_utc,
        o.journal_offset, try_cast(o.value as double) as value
    from required as r
    inner join {{ ref('stg_his__observation') }} as o
        on
            r.site_id = o.site_id and r.accession_number = o.accession_number and o.unit = r.unit
            and abs(try_cast(o.value as double)) < 1e300 -- a number: neither NaN nor infinite
            and contains(' ' || r.observation_codes || ' ', ' ' || o.code || ' ') and o.measured_at_utc <= r.at_utc
    where r.newest_first = 1
),

placed as (
    {{ as_told('measured', ['site_id', 'accession_number', 'step', 'requirement_id'], 'measured_at_utc', 'observed_precision_s') }}
),

observed as (
    select
        site_id, accession_number, step, requirement_id, told_at_utc as observed_at_utc, value,
        row_number() over (partition by site_id, accession_number, step, requirement_id order by {{ newest_told() }}) as newest_first
    from placed
),

valued as (
    select
        r.*,
        case
            when r.item = 'medication' and a.asked_at_utc is not null then 0.0
            when r.item = 'fasting_h' then {{ seconds_between('a.since_utc', 'r.at_utc') }} / 3600.0
            -- of two witnesses the newer one
            when o.observed_at_utc > a.asked_at_utc or a.asked_at_utc is null then o.value
            else a.value
        end as value
    from required as r
    left join answered as a
        on r.site_id = a.site_id and r.accession_number = a.accession_number and r.step = a.step and r.requirement_id = a.requirement_id and a.newest_first = 1
    left join observed as o
        on r.site_id = o.site_id and r.accession_number = o.accession_number and r.step = o.step and r.requirement_id = o.requirement_id and o.newest_first = 1
    where r.newest_first = 1
),

judged as (
    select
        *,
        case
            when value is null then nullif(on_unknown, 'ignore')
            when value < block_low or value > block_high then 'block'
            when value < warn_low or value > warn_high then 'warn'
        end as effect
    from valued
)

select
    site_id, accession_number, step, requirement_id, requirement_version, item as subject, at_utc, staff_id, room_id, value, unit, effect,
    value is not null as is_known,
    case
        when effect = 'block' then {{ limit_text('block_low', 'block_high', 'unit') }}
        when effect = 'warn' then {{ limit_text('warn_low', 'warn_high', 'unit') }}
    end as limit_text,
    case
        when effect is null then null
        when value is null then {{ because('preparation.not_asked', {'item': named('name_en', 'name_zh')}) }}
        else
            {{ because('preparation.outside', {'item': named('name_en', 'name_zh'), 'value': rounded('value'), 'unit': 'unit',
                'limit': "case effect when 'block' then " ~ limit_text('block_low', 'block_high', 'unit') ~ " else "
                ~ limit_text('warn_low', 'warn_high', 'unit') ~ " end"}) }}
    end as reason
from judged
