with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, accession_number order by administered_at_utc desc, recorded_at_utc desc, journal_offset desc
        ) as newest_first,
        count(*) over (partition by site_id, accession_number) as records
    from ({{ linked('stg_door__dose') }}) as d
),

told as (
    select
        d.*,
        o.exam_code,
        row_number() over (order by d.site_id, d.accession_number) as row_id,
        {{ local_day('d.administered_at_utc', 's.time_zone') }} as day
    from numbered as d
    inner join {{ ref('sites') }} as s on d.site_id = s.site_id
    left join {{ ref('int_examination__order') }} as o on d.site_id = o.site_id and d.accession_number = o.accession_number
    where d.newest_first = 1
),

in_force as (
    select
        t.row_id, t.agent as given, t.exam_code as ordered, e.exam_code, e.agent, e.tolerance_percent, e.drl_mbq,
        row_number() over (partition by t.row_id, e.exam_code, e.agent order by e.version desc) as newest_first
    from told as t
    inner join {{ ref('exam_agents') }} as e
        on e.valid_from <= t.day and (e.valid_until is null or e.valid_until >= t.day) and (e.exam_code = t.exam_code or e.agent = t.agent)
),

-- the row of agent and examination; without a known examination the strictest of the agent holds
fitting as (
    select
        row_id,
        max(case when exam_code = ordered then 1 else 0 end) as agents_are_known,
        max(case when exam_code = ordered and agent = given then 1 else 0 end) as fits,
        min(case when exam_code = ordered and agent = given then tolerance_percent end) as tolerance_percent,
        min(case when exam_code = ordered and agent = given then drl_mbq end) as drl_mbq,
        min(case when agent = given then tolerance_percent end) as strictest_percent,
        min(case when agent = given then drl_mbq end) as least_mbq
    from in_force
    where newest_first = 1
    group by row_id
),

known as (
    select
        t.*,
        a.nuclide as agent_nuclide,
        n.nuclide as known_nuclide,
        coalesce(f.agents_are_known, 0) = 0 or f.fits = 1 as agent_fits,
        case when coalesce(f.agents_are_known, 0) = 1 then f.tolerance_percent else f.strictest_percent end as tolerance_percent,
        case when coalesce(f.agents_are_known, 0) = 1 then f.drl_mbq else f.least_mbq end as drl_mbq,
        case
            when a.nuclide <> n.nuclide then null
            when n.unit = 's' then n.half_life
            when n.unit = 'min' then 60 * n.half_life
            when n.unit = 'h' then 3600 * n.half_life
            when n.unit = 'd' then 86400 * n.half_life
            when n.unit = 'a' then 365.2422 * 86400 * n.half_life
        end as half_life_s
    from told as t
    left join {{ ref('nuclides') }} as n on concat(' ', n.names, ' ') like concat('% ', {{ letters_and_digits('t.nuclide') }}, ' %')
    left join fitting as f on t.row_id = f.row_id
    left join {{ ref('agents') }} as a on t.agent = a.agent
),

-- Both measurements of the syringe are brought to the moment of administration: what was assayed has decayed since, and what was
-- left in it was more then than when it was measured afterwards (its interval is negative).
decayed as (
    select
        *,
        assayed_mbq * exp(-ln(2.0) * {{ seconds_between('assayed_at_utc', 'administered_at_utc') }} / half_life_s)
        - residual_mbq * exp(-ln(2.0) * {{ seconds_between('residual_at_utc', 'administered_at_utc') }} / half_life_s) as administered_mbq
    from known
),

compared as (
    select *, case when prescribed_mbq > 0 then 100.0 * (administered_mbq - prescribed_mbq) / prescribed_mbq end as deviation_percent
    from decayed
)

select
    site_id,
    accession_number,
    agent,
    coalesce(known_nuclide, nuclide) as nuclide,
    prescribed_mbq,
    administered_mbq,
    deviation_percent,
    tolerance_percent,
    drl_mbq,
    case when drl_mbq > 0 then administered_mbq / drl_mbq end as drl_ratio,
    administered_at_utc,
    staff_id,
    lot,
    lot_expires_at_utc,
    records,
    exam_code,
    agent_fits,
    case
        when lot_expires_at_utc < administered_at_utc then 'fail'
        when deviation_percent is null or tolerance_percent is null then 'none'
        when abs(deviation_percent) <= tolerance_percent then 'pass'
        else 'fail'
    end as verdict,
    case
        when lot_expires_at_utc < administered_at_utc then {{ because('dose.lot_expired', {'lot': 'lot', 'expired_at': moment_text('lot_expires_at_utc')}) }}
        when agent_nuclide is null then {{ because('dose.agent_unknown') }}
        when not agent_fits then {{ because('dose.agent_other', {'agent': 'agent', 'exam': exam_name('compared.exam_code')}) }}
        when known_nuclide is null then {{ because('dose.nuclide_unknown') }}
        when half_life_s is null then {{ because('dose.nuclide_other') }}
        when deviation_percent is null then {{ because('dose.record_incomplete') }}
        when tolerance_percent is null then {{ because('dose.no_tolerance') }}
        when abs(deviation_percent) > tolerance_percent
            then
                {{ because('dose.deviates', {'administered_mbq': rounded('administered_mbq', 1), 'percent': rounded('deviation_percent', 1),
                    'prescribed_mbq': rounded('prescribed_mbq', 1)}) }}
        when records > 1 then {{ because('dose.records_many', {'records': 'records'}) }}
    end as reason
from compared
