-- How the patient was prepared when a step began, against the bounds in force; what nobody asked or measured says so.
with required as (
    select
        m.*, p.requirement_id, p.version as requirement_version, p.item, p.unit, p.warn_low, p.warn_high, p.block_low, p.block_high, p.on_unknown,
        p.observation_codes, p.valid_hours, p.name_en, p.name_zh,
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
    inner join ({{ linked('stg_door__answer') }}) as a
        on r.site_id = a.site_id and r.accession_number = a.accession_number and r.item = a.item and a.asked_at_utc <= r.at_utc
    where r.newest_first = 1
),

measured as (
    select
        r.site_id, r.accession_number, r.step, r.requirement_id, o.event_id, o.observed_precision_s, o.recorded_at_utc, o.journal_offset,
        least(o.measured_at_utc, o.recorded_at_utc) as measured_at_utc,
        -- the newest is chosen before it is read: one that cannot be used must not let an older one stand in its place
        case
            when {{ is_result_status('o.status') }}
                then try_cast(regexp_extract(o.value, '^[<>]?=? *([+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?)$', 1) as double)
        end as number,
        power(10.0, coalesce(length(nullif(regexp_extract(o.value, '^[<>]?=? *[+-]?[0-9]+[.]([0-9]+)$', 1), '')), 0)) as steps,
        {{ is_result_status('o.status') }} as is_result,
        o.unit as told_unit,
        {{ unit_plain('o.unit') }} = {{ unit_plain('r.unit') }} as is_same_unit,
        u.per_base as per_told,
        w.per_base as per_asked,
        r.block_low, r.block_high, r.warn_low, r.warn_high,
        case when o.value like '<%' then '<' when o.value like '>%' then '>' else '=' end as relation
    from required as r
    inner join ({{ linked('stg_his__observation') }}) as o
        on
            r.site_id = o.site_id and r.accession_number = o.accession_number
            and (o.value is not null or coalesce(o.status, '') not in ('I', 'N', 'O')) -- awaited is no result
            and contains(' ' || r.observation_codes || ' ', ' ' || o.code || ' ') and least(o.measured_at_utc, o.recorded_at_utc) <= r.at_utc
    left join {{ ref('laboratory_units') }} as u on r.item = u.item and contains(' ' || u.spellings || ' ', ' ' || {{ unit_plain('o.unit') }} || ' ')
    left join {{ ref('laboratory_units') }} as w on r.item = w.item and contains(' ' || w.spellings || ' ', ' ' || {{ unit_plain('r.unit') }} || ' ')
    where r.newest_first = 1
),

-- converted, it is a bound when the bound, in the unit and to the digits of the result, is the number that was told
converted as (
    select
        *,
        case
            when is_same_unit then number
            when per_told is null or per_asked is null then null
            {%- for bound in ['block_low', 'block_high', 'warn_low', 'warn_high'] %}
            when relation = '=' and floor({{ bound }} * per_told / per_asked * steps + 0.5) = floor(number * steps + 0.5) then {{ bound }}
            {%- endfor %}
            else number * per_asked / per_told
        end as value,
        case when abs(number) < 1e300 and not is_same_unit and (per_told is null or per_asked is null) then told_unit end as unknown_unit
    from measured
),

placed as (
    {{ as_told('converted', ['site_id', 'accession_number', 'step', 'requirement_id'], 'measured_at_utc', 'observed_precision_s') }}
),

observed as (
    select
        site_id, accession_number, step, requirement_id, told_at_utc as observed_at_utc, measured_at_utc, observed_precision_s, is_result, relation, unknown_unit,
        case when abs(value) < 1e300 then value end as value, -- a number: neither NaN nor infinite
        row_number() over (partition by site_id, accession_number, step, requirement_id order by {{ newest_told() }}) as newest_first
    from placed
),

valued as (
    select
        r.*,
        b.low as possible_low,
        b.high as possible_high,
        r.item = 'fasting_h' and a.since_utc > r.at_utc as is_ahead,
        case
            when r.item = 'medication' and a.asked_at_utc is not null then 0.0
            when r.item = 'fasting_h' and a.since_utc > r.at_utc then null
            when r.item = 'fasting_h' then {{ seconds_between('a.since_utc', 'r.at_utc') }} / 3600.0
            -- of two witnesses the newer one
            when o.observed_at_utc > a.asked_at_utc or a.asked_at_utc is null then o.value
            else a.value
        end as told_value,
        case
            when r.item in ('medication', 'fasting_h') then '='
            when o.observed_at_utc > a.asked_at_utc or a.asked_at_utc is null then coalesce(o.relation, '=')
            else '='
        end as relation,
        r.item not in ('medication', 'fasting_h') and o.observed_at_utc is not null
        and (a.asked_at_utc is null or o.observed_at_utc > a.asked_at_utc) as is_of_laboratory,
        o.unknown_unit,
        o.is_result,
        o.observed_precision_s,
        o.measured_at_utc,
        a.asked_at_utc
    from required as r
    left join {{ ref('physical_ranges') }} as b on r.item = b.quantity and b.sensor_id is null
    left join answered as a
        on r.site_id = a.site_id and r.accession_number = a.accession_number and r.step = a.step and r.requirement_id = a.requirement_id and a.newest_first = 1
    left join observed as o
        on r.site_id = o.site_id and r.accession_number = o.accession_number and r.step = o.step and r.requirement_id = o.requirement_id and o.newest_first = 1
    where r.newest_first = 1
),

-- why a value is none: what nobody can have, at a time that is not told well enough, too old
weighed as (
    select
        *,
        case
            when is_ahead then 'since_ahead'
            when is_of_laboratory and not is_result then 'result_status'
            when told_value < possible_low or told_value > possible_high then 'result_impossible'
            when told_value is null or valid_hours is null or item in ('medication', 'fasting_h') then null
            when is_of_laboratory and observed_precision_s > valid_hours * 3600 then 'result_time_coarse'
            when {{ seconds_between('case when is_of_laboratory then measured_at_utc else asked_at_utc end', 'at_utc') }} > valid_hours * 3600 then 'result_too_old'
        end as flaw
    from valued
),

ranged as (
    select
        *,
        case when flaw is null then case when relation = '<' then -1e300 else told_value end end as least,
        case when flaw is null then case when relation = '>' then 1e300 else told_value end end as most
    from weighed
),

compared as (
    select
        *,
        case
            when told_value is null or flaw is not null then 'unknown'
            when most < block_low or least > block_high then 'block'
            when least < block_low or most > block_high then 'unknown'
            when most < warn_low or least > warn_high then 'warn'
            when least < warn_low or most > warn_high then 'unknown'
            else 'met'
        end as outcome
    from ranged
),

judged as (
    select
        *,
        case outcome when 'unknown' then nullif(on_unknown, 'ignore') when 'met' then null else outcome end as effect,
        case when outcome <> 'unknown' then told_value end as value
    from compared
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
        when flaw = 'since_ahead' then {{ because('preparation.since_ahead', {'item': named('name_en', 'name_zh')}) }}
        when flaw = 'result_status' then {{ because('preparation.result_status', {'item': named('name_en', 'name_zh')}) }}
        when flaw = 'result_impossible' then {{ because('preparation.result_impossible', {'item': named('name_en', 'name_zh')}) }}
        when flaw = 'result_time_coarse' then {{ because('preparation.result_time_coarse', {'item': named('name_en', 'name_zh')}) }}
        when flaw = 'result_too_old'
            then {{ because('preparation.result_too_old', {'item': named('name_en', 'name_zh'), 'valid_hours': rounded('valid_hours')}) }}
        when value is null and is_of_laboratory
            then {{ because('preparation.result_unusable', {'item': named('name_en', 'name_zh'), 'unit': 'unit', 'told': 'unknown_unit'}) }}
        when value is null then {{ because('preparation.not_asked', {'item': named('name_en', 'name_zh')}) }}
        {%- for sign in ['<', '>'] %}
        when relation = '{{ sign }}'
            then
                {{ because('preparation.outside', {'item': named('name_en', 'name_zh'), 'value': "'" ~ sign ~ " ' || " ~ text(rounded('value')), 'unit': 'unit',
                    'limit': "case effect when 'block' then " ~ limit_text('block_low', 'block_high', 'unit') ~ " else "
                    ~ limit_text('warn_low', 'warn_high', 'unit') ~ " end"}) }}
        {%- endfor %}
        else
            {{ because('preparation.outside', {'item': named('name_en', 'name_zh'), 'value': rounded('value'), 'unit': 'unit',
                'limit': "case effect when 'block' then " ~ limit_text('block_low', 'block_high', 'unit') ~ " else "
                ~ limit_text('warn_low', 'warn_high', 'unit') ~ " end"}) }}
    end as reason
from judged
