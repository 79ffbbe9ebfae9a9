%% Plays scenario files (supervision.txt, links.txt say how they are written) on OTP and prints what happened.
%%
%%     erl +S 1:1 -noshell -eval 'conformance:main(["supervision.txt"]), halt(0).'
%%
%% The table `world` holds {{pid, Name}, Pid}, {{fail, Name}, N}, {{flags, Name}, Flags}, {{sup, Name}, Spec}. Lines of the
%% trace go through the collector in calls, so that nothing that follows from an event can be noted before it.
-module(conformance).
-behaviour(supervisor).
-export([main/1, init/1, start_child/1, child_init/2, start_sup/1]).

main([File]) ->
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    {ok, Text} = file:read_file(File),
    Lines = [string:lexemes(Line, " ") || Line <- string:lexemes(binary_to_list(Text), "\n"), hd(Line) =/= $#],
    [play(Scenario) || Scenario <- scenarios(Lines, [])],
    ok.

scenarios([], Done) -> lists:reverse([{Name, lists:reverse(Steps)} || {Name, Steps} <- Done]);
scenarios([["scenario", Name] | Rest], Done) -> scenarios(Rest, [{Name, []} | Done]);
scenarios([Step | Rest], [{Name, Steps} | Done]) -> scenarios(Rest, [{Name, [Step | Steps]} | Done]).

play({Name, Steps}) ->
    io:format("scenario ~s~n", [Name]),
    ets:new(world, [named_table, public]),
    ets:insert(world, {sups, []}),
    register(collector, spawn_link(fun() -> collector([], #{}) end)),
    put(unordered, lists:member(["unordered"], Steps)),
    erase(top),
    [begin step(Step), settle(), flush(Step) end || Step <- Steps],
    clean_up(),
    ets:delete(world).

flush(Step) ->
    Lines = call(collector, take),
    Shown = case get(unordered) of true -> lists:sort(Lines); false -> Lines end,
    case Shown of
        [] -> ok;
        _ -> io:format("~s~n", [lists:join(" ", ["-" | Step])]), [io:format("  ~s~n", [Line]) || Line <- Shown]
    end.

clean_up() ->
    call(collector, mute),
    Pids = [Pid || {{pid, _}, Pid} <- ets:tab2list(world)] ++ [get(top) || get(top) =/= undefined],
    [end_now(Pid) || Pid <- Pids],
    unlink(whereis(collector)),
    end_now(whereis(collector)),
    drain().

end_now(Pid) ->
    Ref = monitor(process, Pid),
    exit(Pid, kill),
    receive {'DOWN', Ref, _, _, _} -> ok end.

drain() -> receive _ -> drain() after 0 -> ok end.

%% ---- the collector ----

call(To, Request) ->
    Ref = monitor(process, To),
    To ! {call, self(), Ref, Request},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer;
        {'DOWN', Ref, _, _, Reason} -> {gone, Reason}
    end.

trace(Format, Arguments) -> call(collector, {line, lists:flatten(io_lib:format(Format, Arguments))}).

%% Watched: monitor -> the text before the reason.
collector(Lines, Watched) ->
    receive
        {call, From, Ref, take} -> From ! {Ref, lists:reverse(Lines)}, collector([], Watched);
        {call, From, Ref, count} -> From ! {Ref, length(Lines)}, collector(Lines, Watched);
        {call, From, Ref, mute} -> From ! {Ref, ok}, collector([], #{});
        {call, From, Ref, {line, Line}} -> From ! {Ref, ok}, collector([Line | Lines], Watched);
        {call, From, Ref, {watch, Name, Pid}} ->
            From ! {Ref, ok},
            collector(Lines, Watched#{monitor(process, Pid) => Name});
        {'DOWN', Ref, _, _, Reason} ->
            case Watched of
                #{Ref := Name} -> collector(["end " ++ Name ++ " " ++ reason(Reason) | Lines], Watched);
                _ -> collector(Lines, Watched)
            end
    end.

reason({shutdown, {failed_to_start_child, _, _}}) -> "shutdown: start";
%% link/1 raises this one for a dead local process, in place of a signal.
reason({noproc, [_ | _]}) -> "noproc";
reason({shutdown, Text}) -> "shutdown: " ++ atom_to_list(Text);
reason(Atom) when is_atom(Atom) -> atom_to_list(Atom).

to_reason("shutdown:" ++ Text) -> {shutdown, list_to_atom(Text)};
to_reason(Text) -> list_to_atom(Text).

%% ---- steps ----

step(["unordered"]) -> ok;
step(["top", Strategy, Intensity, Period]) -> add_sup("top", Strategy, Intensity, Period);
step(["sup", Name, Strategy, Intensity, Period, Restart, Shutdown | More]) ->
    add_sup(Name, Strategy, Intensity, Period),
    add_spec(Name, supervisor, Restart, Shutdown, More);
step(["child", Name, Restart, Shutdown | More]) ->
    ets:insert(world, {{flags, Name}, More}),
    add_spec(Name, worker, Restart, Shutdown, More);
step(["fail", Name, N]) -> ets:insert(world, {{fail, Name}, list_to_integer(N)});
step(["start"]) ->
    case start_sup("top") of
        {ok, Top} -> put(top, Top), trace("up", []);
        {error, Reason} -> receive {'EXIT', _, _} -> ok end, trace("not up ~s", [reason(Reason)])
    end;
step(["stop"]) -> alive("top") andalso stop(get(top));
step(["exit", Name, Reason]) -> tell(Name, {exit, to_reason(Reason)});
step(["exit2", First, Second, Reason]) ->
    Pids = [pid(First), pid(Second)],
    [Pid ! {exit, to_reason(Reason)} || Pid <- Pids];
step(["signal", Name, Reason]) -> alive(Name) andalso exit(pid(Name), to_reason(Reason));
step(["unlink", Name]) -> tell(Name, unlink);
step(["alive", Name]) ->
    case alive(Name) of true -> trace("~s lives", [Name]); false -> trace("~s is gone", [Name]) end;
step(["sleep", Ms]) -> timer:sleep(list_to_integer(Ms));
step(["terminate", Sup, Name]) -> request(fun supervisor:terminate_child/2, Sup, Name);
step(["restart", Sup, Name]) -> request(fun supervisor:restart_child/2, Sup, Name);
step(["delete", Sup, Name]) -> request(fun supervisor:delete_child/2, Sup, Name);
step(["procs" | Names]) -> [start_plain(Name, fun proc_lib:spawn/1) || Name <- Names];
step(["do", Name | Words]) -> tell(Name, {do, commands(Words)}).

stop(Top) ->
    Ref = monitor(process, Top),
    exit(Top, shutdown),
    receive {'DOWN', Ref, _, _, _} -> ok end.

commands(Words) ->
    case lists:splitwith(fun(Word) -> Word =/= ";" end, Words) of
        {Command, []} -> [Command];
        {Command, [";" | Rest]} -> [Command | commands(Rest)]
    end.

request(Function, Sup, Name) ->
    case alive(Sup) of
        true -> request(Function(pid(Sup), list_to_atom(Name)));
        false -> request({error, not_found})
    end.

request(ok) -> trace("ok", []);
request({ok, _}) -> trace("ok", []);
request({error, Why}) when Why =:= not_found; Why =:= running; Why =:= restarting -> trace("error ~s", [Why]);
request({error, _}) -> trace("error start", []).

pid(Name) -> case ets:lookup(world, {pid, Name}) of [{_, Pid}] -> Pid; [] -> error({no_pid, Name}) end.

alive(Name) ->
    case ets:lookup(world, {pid, Name}) of [{_, Pid}] -> is_process_alive(Pid); [] -> false end.

%% Returns when the actor has handled it, or has ended.
tell(Name, Message) ->
    case alive(Name) of
        false -> trace("~s is not there", [Name]);
        true -> pid(Name) ! Message, _ = call(pid(Name), ping)
    end.

%% Until every supervisor answers, none has a child to start again, every child answers, and nothing new was noted.
settle() ->
    Before = call(collector, count),
    Quiet = settle_sups() andalso settle_pids() andalso settle_sups() andalso settle_pids(),
    case Quiet andalso call(collector, count) =:= Before of
        true -> ok;
        false -> settle()
    end.

settle_sups() ->
    {_, Names} = hd(ets:lookup(world, sups)),
    lists:all(fun(Name) ->
        case alive(Name) of
            false -> true;
            true ->
                try supervisor:which_children(pid(Name)) of
                    Children -> not lists:any(fun({_, Pid, _, _}) -> Pid =:= restarting end, Children)
                catch exit:_ -> false
                end
        end
    end, Names).

settle_pids() ->
    {_, Sups} = hd(ets:lookup(world, sups)),
    [call(Pid, ping) || {{pid, Name}, Pid} <- ets:tab2list(world), not lists:member(Name, Sups), is_process_alive(Pid)],
    true.

%% ---- supervisors ----

strategy("one_for_one") -> one_for_one;
strategy("one_for_all") -> one_for_all;
strategy("rest_for_one") -> rest_for_one.

add_sup(Name, Strategy, Intensity, Period) ->
    Flags = #{strategy => strategy(Strategy), intensity => list_to_integer(Intensity), period => list_to_integer(Period)},
    ets:insert(world, {{sup, Name}, Flags, []}),
    [{_, Names}] = ets:lookup(world, sups),
    ets:insert(world, {sups, Names ++ [Name]}).

add_spec(Name, Type, Restart, Shutdown, More) ->
    Above = case lists:dropwhile(fun(Word) -> Word =/= "under" end, More) of ["under", Sup | _] -> Sup; _ -> "top" end,
    Start = case Type of supervisor -> start_sup; worker -> start_child end,
    Spec = #{id => list_to_atom(Name), start => {?MODULE, Start, [Name]}, type => Type,
             restart => list_to_atom(Restart), shutdown => shutdown(Shutdown)},
    [{Key, Flags, Specs}] = ets:lookup(world, {sup, Above}),
    ets:insert(world, {Key, Flags, Specs ++ [Spec]}).

shutdown("brutal") -> brutal_kill;
shutdown("infinity") -> infinity;
shutdown(Ms) -> list_to_integer(Ms).

start_sup(Name) -> supervisor:start_link(?MODULE, Name).

init(Name) ->
    ets:insert(world, {{pid, Name}, self()}),
    call(collector, {watch, Name, self()}),
    [{_, Flags, Specs}] = ets:lookup(world, {sup, Name}),
    {ok, {Flags, Specs}}.

%% ---- children ----

start_child(Name) -> proc_lib:start_link(?MODULE, child_init, [Name, self()]).

child_init(Name, Parent) ->
    [{_, Flags}] = ets:lookup(world, {flags, Name}),
    Fails = case ets:lookup(world, {fail, Name}) of [{_, N}] -> N; [] -> 0 end,
    case Fails of
        0 ->
            process_flag(trap_exit, lists:any(fun traps/1, Flags)),
            begin_life(Name),
            proc_lib:init_ack({ok, self()}),
            loop(Name, Parent, Flags, #{});
        _ ->
            ets:insert(world, {{fail, Name}, Fails - 1}),
            trace("start ~s fails", [Name]),
            proc_lib:init_ack({error, nope}),
            exit(nope)
    end.

begin_life(Name) ->
    ets:insert(world, {{pid, Name}, self()}),
    call(collector, {watch, Name, self()}),
    trace("start ~s", [Name]).

traps("trap") -> true;
traps("stubborn") -> true;
traps("ends:" ++ _) -> true;
traps(_) -> false.

%% A plain one: nobody above it.
start_plain(Name, Spawn) ->
    Self = self(),
    Ref = make_ref(),
    Result = Spawn(fun() -> begin_life(Name), Self ! Ref, loop(Name, none, [], #{}) end),
    receive Ref -> ok end,
    Result.

loop(Name, Parent, Flags, Monitors) ->
    receive
        {call, From, Ref, ping} -> From ! {Ref, ok}, loop(Name, Parent, Flags, Monitors);
        {exit, Reason} -> exit(Reason);
        unlink -> unlink(Parent), loop(Name, Parent, Flags, Monitors);
        {text, From, Text} -> trace("~s got ~s ~s", [Name, From, Text]), loop(Name, Parent, Flags, Monitors);
        {do, Commands} -> loop(Name, Parent, Flags, lists:foldl(fun(C, M) -> do(Name, C, M) end, Monitors, Commands));
        {'EXIT', Parent, Reason} -> parent_ended(Name, Parent, Flags, Monitors, Reason);
        {'EXIT', Pid, Reason} ->
            trace("~s exit ~s ~s", [Name, name_of(Pid), reason(Reason)]),
            loop(Name, Parent, Flags, Monitors);
        {'DOWN', Ref, _, _, Reason} ->
            #{Ref := Label} = Monitors,
            trace("~s down ~s ~s", [Name, Label, reason(Reason)]),
            loop(Name, Parent, Flags, again(Name, Monitors))
    end.

parent_ended(Name, Parent, Flags, Monitors, Reason) ->
    case [Flag || Flag <- Flags, traps(Flag)] of
        ["stubborn"] when Reason =:= shutdown -> loop(Name, Parent, Flags, Monitors);
        ["ends:" ++ Other] -> exit(to_reason(Other));
        _ -> exit(Reason)
    end.

name_of(Pid) ->
    case [Name || {{pid, Name}, P} <- ets:tab2list(world), P =:= Pid] of [Name] -> Name; [] -> "somebody" end.

do(Name, ["link", X], M) -> with(X, fun(Pid) -> link(Pid) end, Name), M;
do(_, ["unlink", X], M) ->
    Pid = pid(X),
    unlink(Pid),
    receive {'EXIT', Pid, _} -> ok after 0 -> ok end,
    M;
do(_, ["monitor", X, Label], M) -> M#{monitor(process, pid(X)) => Label};
do(_, ["demonitor", Label], M) -> [demonitor(Ref, [flush]) || {Ref, L} <- maps:to_list(M), L =:= Label], M;
do(_, ["trap", On], M) -> process_flag(trap_exit, On =:= "on"), M;
do(_, ["signal", X, Reason], M) -> exit(pid(X), to_reason(Reason)), M;
do(Name, ["send", X, Text], M) -> pid(X) ! {text, Name, Text}, M;
do(_, ["spawn", X], M) -> child(X, fun proc_lib:spawn/1), M;
do(_, ["spawn_link", X], M) -> child(X, fun proc_lib:spawn_link/1), M;
do(_, ["spawn_monitor", X, Label], M) ->
    {_, Ref} = child(X, fun erlang:spawn_monitor/1),
    M#{Ref => Label};
do(_, ["register", X], M) -> {ok, Ref} = register_as(X), M#{Ref => "n", name => X};
do(_, ["again_on_down"], M) -> M#{again => true};
do(_, ["exit", Reason], _) -> exit(to_reason(Reason)).

with(X, Fun, _Name) -> Fun(pid(X)).

child(X, Spawn) ->
    case lists:reverse(X) of
        "!" ++ Reversed ->
            Name = lists:reverse(Reversed),
            Result = start_plain(Name, Spawn),
            pid(Name) ! {exit, boom},
            Result;
        _ -> start_plain(X, Spawn)
    end.

%% {ok, Monitor} or {error, taken}
register_as(X) ->
    Self = self(),
    Ref = make_ref(),
    {_, Monitor} = spawn_monitor(fun() ->
        try register(list_to_atom("conformance_" ++ X), self()) of
            true -> begin_life(X), Self ! {Ref, ok}, loop(X, none, [], #{})
        catch error:badarg -> Self ! {Ref, taken}
        end
    end),
    receive
        {Ref, ok} -> {ok, Monitor};
        {Ref, taken} -> demonitor(Monitor, [flush]), {error, taken}
    end.

again(Name, #{again := true, name := X} = Monitors) ->
    case register_as(X) of
        {ok, Ref} -> trace("~s has ~s again", [Name, X]), maps:remove(again, Monitors#{Ref => "n"});
        {error, taken} -> trace("~s finds ~s taken", [Name, X]), Monitors
    end;
again(_, Monitors) -> Monitors.
