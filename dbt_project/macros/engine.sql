{#
  Every difference between DuckDB and Spark SQL stands here, so that the models are plain SQL for both.
  Timestamps in models are UTC without a zone; both engines run with the session time zone UTC.
#}

{# The text at a JSON path; null when it is absent or JSON null. #}
{% macro json_text(column, path) -%}
  {%- if target.type == 'spark' -%} get_json_object({{ column }}, '{{ path }}')
  {%- else -%} json_extract_string({{ column }}, '{{ path }}') {%- endif -%}
{%- endmacro %}

{# A name as it is compared: whatever the case, without blanks (`judgement.linkage.numbers.plain` also folds compatibility characters). #}
{% macro plain(expression) -%}
  {%- if target.type == 'spark' -%} regexp_replace(upper({{ expression }}), '\\\\s', '')
  {%- else -%} regexp_replace(upper({{ expression }}), '\s', '', 'g') {%- endif -%}
{%- endmacro %}

{# Letters and digits of a text alone, in lower case: how the reference data write the names of nuclides. #}
{% macro letters_and_digits(expression) -%}
  {%- if target.type == 'spark' -%} regexp_replace(lower({{ expression }}), '[^a-z0-9]', '')
  {%- else -%} regexp_replace(lower({{ expression }}), '[^a-z0-9]', '', 'g') {%- endif -%}
{%- endmacro %}

{% macro json_number(column, path) -%}
  try_cast({{ json_text(column, path) }} as double)
{%- endmacro %}

{% macro json_boolean(column, path) -%}
  try_cast({{ json_text(column, path) }} as boolean)
{%- endmacro %}

{# An instant as UTC without a zone, from RFC 3339 text or from a zoned column; text that is no time gives null. #}
{% macro utc(expression) -%}
  {%- if target.type == 'spark' -%} try_cast({{ expression }} as timestamp)
  {%- else -%} cast(try_cast({{ expression }} as timestamptz) as timestamp) {%- endif -%}
{%- endmacro %}

{% macro json_utc(column, path) -%}
  {{ utc(json_text(column, path)) }}
{%- endmacro %}

{# The elements of a JSON array as JSON texts, one row each; stands alone in a select list. #}
{% macro json_each(column, path) -%}
  {%- if target.type == 'spark' -%} explode(from_json(get_json_object({{ column }}, '{{ path }}'), 'array<string>'))
  {%- else -%} unnest(cast(json_extract({{ column }}, '{{ path }}') as json[])) {%- endif -%}
{%- endmacro %}

{# The number of elements of a JSON array. #}
{% macro json_count(column, path) -%}
  {%- if target.type == 'spark' -%} json_array_length(get_json_object({{ column }}, '{{ path }}'))
  {%- else -%} json_array_length({{ column }}, '{{ path }}') {%- endif -%}
{%- endmacro %}

{# The days from a date to a date, both included, one row each; stands alone in a select list. #}
{% macro each_day(first, last) -%}
  {%- if target.type == 'spark' -%} explode(sequence({{ first }}, {{ last }}, interval 1 day))
  {%- else -%} cast(unnest(generate_series(cast({{ first }} as timestamp), cast({{ last }} as timestamp), interval 1 day)) as date) {%- endif -%}
{%- endmacro %}

{# The hours from a full hour to a full hour, both included, one row each; stands alone in a select list. #}
{% macro each_hour(first, last) -%}
  {%- if target.type == 'spark' -%} explode(sequence({{ first }}, {{ last }}, interval 1 hour))
  {%- else -%} unnest(generate_series({{ first }}, {{ last }}, interval 1 hour)) {%- endif -%}
{%- endmacro %}

{# The ten-minute slots from one to another, both included, one row each; stands alone in a select list. #}
{% macro each_slot(first, last) -%}
  {%- if target.type == 'spark' -%} explode(sequence({{ first }}, {{ last }}, interval 10 minutes))
  {%- else -%} unnest(generate_series({{ first }}, {{ last }}, interval 10 minutes)) {%- endif -%}
{%- endmacro %}

{# The start of the ten-minute slot that holds a moment. #}
{% macro slot(moment) -%}
  {%- if target.type == 'spark' -%} timestamp_seconds(600 * floor(unix_seconds({{ moment }}) / 600))
  {%- else -%} time_bucket(interval 10 minutes, {{ moment }}) {%- endif -%}
{%- endmacro %}

{% macro plus_minutes(moment, minutes) -%}
  {%- if target.type == 'spark' -%} timestampadd(minute, {{ minutes }}, {{ moment }})
  {%- else -%} ({{ moment }} + to_minutes(cast({{ minutes }} as bigint))) {%- endif -%}
{%- endmacro %}

{% macro plus_seconds(moment, seconds) -%}
  {%- if target.type == 'spark' -%} timestampadd(second, {{ seconds }}, {{ moment }})
  {%- else -%} ({{ moment }} + to_seconds({{ seconds }})) {%- endif -%}
{%- endmacro %}

{% macro plus_days(day, days) -%}
  {%- if target.type == 'spark' -%} date_add({{ day }}, {{ days }})
  {%- else -%} ({{ day }} + cast({{ days }} as integer)) {%- endif -%}
{%- endmacro %}

{% macro days_between(earlier, later) -%}
  datediff('day', {{ earlier }}, {{ later }})
{%- endmacro %}

{% macro seconds_between(earlier, later) -%}
  {%- if target.type == 'spark' -%} ((unix_micros({{ later }}) - unix_micros({{ earlier }})) / 1e6)
  {%- else -%} (epoch({{ later }}) - epoch({{ earlier }})) {%- endif -%}
{%- endmacro %}

{# A moment on the site's wall clock, without a zone; `zone` is an IANA name. Local times follow the rules of `judgement/days.py`. #}
{% macro wall_clock(moment, zone) -%}
  {%- if target.type == 'spark' -%} from_utc_timestamp({{ moment }}, {{ zone }})
  {%- else -%} timezone({{ zone }}, timezone('UTC', {{ moment }})) {%- endif -%}
{%- endmacro %}

{# The day on the site's wall clock. #}
{% macro local_day(moment, zone) -%}
  cast({{ wall_clock(moment, zone) }} as date)
{%- endmacro %}

{#
  The UTC moment of a time on the wall clock. One that does not exist is read with the offset before the change, as both engines do. Of an
  hour that comes twice the first is taken: Spark gives it, DuckDB the second.
#}
{% macro wall_utc(wall, zone) -%}
  {%- if target.type == 'spark' -%} to_utc_timestamp({{ wall }}, {{ zone }})
  {%- else -%}
  {%- set later = "timezone('UTC', timezone(" ~ zone ~ ", " ~ wall ~ "))" -%}
  (case
    when {{ wall_clock("(" ~ later ~ " - interval '1' hour)", zone) }} = {{ wall }} then {{ later }} - interval '1' hour
    else {{ later }}
  end)
  {%- endif -%}
{%- endmacro %}

{# The UTC moment at which a local day begins. #}
{% macro day_start_utc(day, zone) -%}
  {{ wall_utc('cast(' ~ day ~ ' as timestamp)', zone) }}
{%- endmacro %}

{# Texts of a group joined in their own order. #}
{% macro join_text(expression, separator) -%}
  {%- if target.type == 'spark' -%} array_join(array_sort(collect_set({{ expression }})), '{{ separator }}')
  {%- else -%} string_agg(distinct {{ expression }}, '{{ separator }}' order by {{ expression }}) {%- endif -%}
{%- endmacro %}

{# The texts of a group as a list, each once. #}
{% macro list_of(expression) -%}
  {%- if target.type == 'spark' -%} array_sort(collect_set({{ expression }}))
  {%- else -%} list(distinct {{ expression }} order by {{ expression }}) {%- endif -%}
{%- endmacro %}

{% macro text(expression) -%} cast({{ expression }} as {{ dbt.type_string() }}) {%- endmacro %}

{# A moment as people and machines read it: 2026-11-23T04:10Z. #}
{% macro moment_text(moment) -%}
  {%- if target.type == 'spark' -%} date_format({{ moment }}, "yyyy-MM-dd'T'HH:mm'Z'")
  {%- else -%} strftime({{ moment }}, '%Y-%m-%dT%H:%MZ') {%- endif -%}
{%- endmacro %}

{# The moment the release speaks of. #}
{% macro as_of() -%}
  {%- if not var('as_of_utc') and execute -%}
    {{ exceptions.raise_compiler_error("as_of_utc is not given: build with `photopeak job build_marts`, or pass --vars '{as_of_utc: 2026-01-31T16:00:00Z}'") }}
  {%- endif -%}
  {{ utc("'" ~ var('as_of_utc') ~ "'") }}
{%- endmacro %}

{# A number that orders versions like 1.10.2; null counts as the oldest. #}
{% macro version_order(column) -%}
  (coalesce(try_cast(split_part({{ column }}, '.', 1) as bigint), 0) * 1000000
   + coalesce(try_cast(split_part({{ column }}, '.', 2) as bigint), 0) * 1000
   + coalesce(try_cast(split_part({{ column }}, '.', 3) as bigint), 0))
{%- endmacro %}

{# The first day of a day's month. #}
{% macro month(day) -%} cast(date_trunc('month', {{ day }}) as date) {%- endmacro %}
