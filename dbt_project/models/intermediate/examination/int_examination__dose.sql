with numbered as (
    select
        *,
        row_number() over (
            partition by site_id, accession_number order by administered_at_utc desc, recorded_at_utc desc, journal_offset desc
        ) as newest_first,
        count(*) over (partition by site_id, accession_number) as records
    from {{ ref('stg_door__dose') }}
),

known as (
    select
        d.*,
        a.nuclide as agent_nuclide,
        a.tolerance_percent,
        a.drl_mbq,
        case when a.nuclide = d.nuclide then a.half_life_s end as half_life_s
    from numbered as d
    left join {{ ref('agents') }} as a on d.agent = a.agent
    where d.newest_first = 1
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
    nuclide,
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
    case
        when lot_expires_at_utc < administered_at_utc then 'fail'
        when deviation_percent is null or tolerance_percent is null then 'none'
        when abs(deviation_percent) <= tolerance_percent then 'pass'
        else 'fail'
    end as verdict,
    case
        when lot_expires_at_utc < administered_at_utc then 'lot ' || lot || ' had expired at ' || {{ moment_text('lot_expires_at_utc') }}
        when agent_nuclide is null then 'the agent is not in the reference data'
        when half_life_s is null then 'the nuclide of the record is not that of the agent'
        when deviation_percent is null then 'the record does not allow the calculation'
        when tolerance_percent is null then 'no tolerance is known for the agent'
        when abs(deviation_percent) > tolerance_percent
            then
                'administered ' || {{ text('round(administered_mbq, 1)') }} || ' MBq is ' || {{ text('round(deviation_percent, 1)') }}
                || ' % from the prescribed ' || {{ text('round(prescribed_mbq, 1)') }} || ' MBq'
        when records > 1 then {{ text('records') }} || ' dose records; the latest administration counts'
    end as reason
from compared
