-- What PostgreSQL lets any login do even in a read-only session: fill the disk with large objects, hold locks that runs
-- wait for. Here only the owner may.
do $$
declare
    function regprocedure;
begin
    for function in
        select oid from pg_proc
        where pronamespace = 'pg_catalog'::regnamespace
            and (proname like '%advisory%' or proname in ('lo_creat', 'lo_create', 'lo_from_bytea'))
    loop
        execute format('revoke execute on function %s from public', function);
        execute format('grant execute on function %s to early_warning', function);
    end loop;
end
$$;
