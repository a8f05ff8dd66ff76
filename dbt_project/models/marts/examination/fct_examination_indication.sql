with final as (
    select
        i.site_id, i.accession_number, i.indication_code,
        coalesce(c.name_en, 'Missing') as name_en, coalesce(c.name_zh, '缺失') as name_zh, e.exam_code, e.ordered_at_utc, e.device_id, e.verdict,
        -- one of several stands for the examination where a view counts each once
        row_number() over (partition by i.site_id, i.accession_number order by c.sequence) = 1 as is_first
    from {{ ref('int_examination__indication') }} as i
    inner join {{ ref('fct_examination') }} as e on i.site_id = e.site_id and i.accession_number = e.accession_number
    left join {{ ref('indications') }} as c on i.indication_code = c.indication_code
)

{{ contracted('final') }}
