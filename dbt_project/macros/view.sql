{#-
  dbt's `view`, except that readers stay undisturbed. dbt renames a new view over the old one and drops that with all that
  depends on it, every day, and waits behind whoever reads. Here a view that says the same as before is left alone, one
  with new columns at its end is replaced where it stands, and only one whose columns changed is dropped and made anew, in
  one transaction. Views that depend on a dropped one go with it and come back in their own turn of the build.
-#}
{%- materialization view, adapter='postgres' -%}

{%- set existing_relation = load_cached_relation(this) -%}
{%- set target_relation = this.incorporate(type='view') -%}
{%- set draft = make_temp_relation(target_relation) -%}

{{ run_hooks(pre_hooks, inside_transaction=False) }}
{{ run_hooks(pre_hooks, inside_transaction=True) }}

{%- if existing_relation is not none and not existing_relation.is_view -%}
{%- do adapter.drop_relation(existing_relation) -%}
{%- endif -%}

{#- PostgreSQL itself compares the two definitions, so there is nothing to remember. -#}
{%- call statement('main') -%}
create temporary view {{ draft }}
{%- if config.get('contract').enforced -%}
{{ get_assert_columns_equivalent(sql) }}
{%- endif %}
as (
{{ sql }}
)
{%- endcall -%}

{%- set change = run_query(compare_views(target_relation, draft)).rows[0][0] -%}
{%- do run_query('drop view ' ~ draft) -%}
{%- if change != 'none' -%}
{%- do run_query(put_view_in_place(target_relation, sql, drop_first=(change == 'other columns'))) -%}
{%- endif -%}

{%- do apply_grants(target_relation, config.get('grants'), should_revoke=True) -%}
{%- do persist_docs(target_relation, model) -%}

{{ run_hooks(post_hooks, inside_transaction=True) }}
{%- do adapter.commit() -%}
{{ run_hooks(post_hooks, inside_transaction=False) }}

{{ return({'relations': [target_relation]}) }}

{%- endmaterialization -%}

{#- One value: `none`, `other columns` (what was there is renamed, retyped, moved or gone), else `definition`. -#}
{%- macro compare_views(relation, draft) -%}
{%- set old = "to_regclass('" ~ relation ~ "')" -%}
{%- set new = "to_regclass('" ~ draft ~ "')" -%}
select
    case
        when pg_get_viewdef({{ old }}) = pg_get_viewdef({{ new }}) then 'none'
        when exists (
            select
            from pg_attribute as old
            left join pg_attribute as new
                on old.attname = new.attname
                and old.attnum = new.attnum
                and old.atttypid = new.atttypid
                and old.atttypmod = new.atttypmod
                and old.attcollation = new.attcollation
                and new.attrelid = {{ new }}
            where old.attrelid = {{ old }} and new.attnum is null
        ) then 'other columns'
        else 'definition'
    end
{%- endmacro -%}

{#-
  Replacing a view waits until nobody reads it, and whoever wants to read it meanwhile waits behind. So it waits for
  moments only, and tries again for as long as a reader's statement may last (statement_timeout of early_warning_reader).
-#}
{%- macro put_view_in_place(relation, sql, drop_first) -%}
do $patiently$
declare
    give_up_at constant timestamptz := clock_timestamp() + interval '11 minutes';
begin
    perform set_config('lock_timeout', '200ms', true);
    loop
        begin
            {% if drop_first -%}
            drop view {{ relation }} cascade;
            {% endif -%}
            create or replace view {{ relation }} as (
            {{ sql }}
            );
            return;
        exception when lock_not_available then
            if clock_timestamp() > give_up_at then
                raise exception 'somebody has been reading {{ relation.schema }}.{{ relation.identifier }} for over ten minutes'
                using hint = 'End the transaction that reads it (see pg_locks), then run again.';
            end if;
            perform pg_sleep(1);
        end;
    end loop;
end
$patiently$
{%- endmacro -%}
