%% The benchmarks of tests/bench/actor_bench.c on Erlang, and two Erlang nodes over loopback.
%%
%%     erlc bench.erl && erl +S 1:1 +P 4000000 -noshell -eval 'bench:main(["pingpong"]), halt(0).'
%%
%% Prints lines `name workers value unit`. Messages are counted where they arrive, each once. A work is run with a small
%% number first, which warms up and tells how much of it takes about 1.2 seconds; that is then measured.
-module(bench).
-export([main/1, client/1, server/1]).
%% As -epmd_module of the two nodes of `remote`: their ports are known, so no daemon is needed.
-export([start_link/0, register_node/2, register_node/3, port_please/2, port_please/3, address_please/3,
         listen_port_please/2, names/1]).

-define(MEASURE_S, 1.2).

main(["pingpong"]) -> rate("pingpong", "M/s", 100000, fun(N) -> pairs(1, N) end);
main(["pairs8"]) -> rate("pairs8", "M/s", 400000, fun(N) -> pairs(8, N) end);
main(["ring"]) -> rate("ring", "M/s", 200000, fun ring/1);
main(["fanin"]) -> rate("fanin", "M/s", 400000, fun fanin/1);
main(["spawn"]) -> rate("spawn", "M/s", 50000, fun spawns/1);
main(["idle"]) -> idle();
main(["remote"]) -> remote();
main(Names) ->
    io:format(standard_error, "bench: what is ~p? pingpong pairs8 ring fanin spawn idle remote~n", [Names]),
    halt(2).

workers() -> erlang:system_info(schedulers_online).

line(Name, Value, Unit) -> io:format("~s ~b ~.3f ~s~n", [Name, workers(), float(Value), Unit]).

%% Work(N) does N units, or about so, and returns {units, nanoseconds}.
rate(Name, Unit, First, Work) ->
    {N0, T0} = Work(First),
    Wanted = max(First, round(N0 / T0 * 1.0e9 * ?MEASURE_S)),
    {N, T} = Work(Wanted),
    line(Name, N / T * 1.0e3, Unit).

now_ns() -> erlang:monotonic_time(nanosecond).

wait_for(Pids) -> [receive {done, Pid} -> ok end || Pid <- Pids], ok.

%% ---- ping-pong: each of the pairs sends a message there and back ----

pairs(Pairs, N) ->
    Rounds = N div (2 * Pairs),
    Self = self(),
    Pids = [spawn_link(fun() -> ping_start(Self, Rounds) end) || _ <- lists:seq(1, Pairs)],
    T = now_ns(),
    [Pid ! go || Pid <- Pids],
    wait_for(Pids),
    {2 * Rounds * Pairs, now_ns() - T}.

ping_start(Main, Rounds) ->
    Self = self(),
    Pong = spawn_link(fun() -> pong(Self) end),
    receive go -> ok end,
    ping(Pong, Rounds),
    unlink(Pong),
    exit(Pong, kill),
    Main ! {done, self()}.

ping(_, 0) -> ok;
ping(Pong, N) ->
    Pong ! ball,
    receive ball -> ping(Pong, N - 1) end.

pong(Ping) -> receive ball -> Ping ! ball, pong(Ping) end.

%% ---- ring: one token through 1,000 processes ----

ring(N) ->
    Size = 1000,
    Self = self(),
    Last = lists:foldl(fun(_, Next) -> spawn_link(fun() -> ring_node(Next) end) end, Self, lists:seq(2, Size)),
    Laps = max(1, N div Size),
    T = now_ns(),
    ring_laps(Last, Laps),
    Taken = now_ns() - T,
    Last ! stop,
    receive stop -> ok end,
    {Laps * Size, Taken}.

ring_laps(_, 0) -> ok;
ring_laps(Next, N) ->
    Next ! token,
    receive token -> ring_laps(Next, N - 1) end.

ring_node(Next) ->
    receive
        token -> Next ! token, ring_node(Next);
        stop -> Next ! stop
    end.

%% ---- fan-in: 100 senders, one receiver ----

fanin(N) ->
    Senders = 100,
    Each = N div Senders,
    Self = self(),
    Receiver = spawn_opt(fun() -> fanin_receive(Each * Senders), Self ! {done, self()} end,
                         [link, {message_queue_data, off_heap}]),
    Pids = [spawn_link(fun() -> receive go -> fanin_send(Receiver, Each) end end) || _ <- lists:seq(1, Senders)],
    T = now_ns(),
    [Pid ! go || Pid <- Pids],
    wait_for([Receiver]),
    {Each * Senders, now_ns() - T}.

fanin_send(_, 0) -> ok;
fanin_send(Receiver, N) -> Receiver ! {add, 1}, fanin_send(Receiver, N - 1).

fanin_receive(0) -> ok;
fanin_receive(N) -> receive {add, 1} -> fanin_receive(N - 1) end.

%% ---- spawn: a process, one message to it, its end; 1,000 at a time ----

spawns(N) ->
    Self = self(),
    Workers = workers(),
    Each = N div Workers,
    T = now_ns(),
    Pids = [spawn_link(fun() -> spawn_batches(Each), Self ! {done, self()} end) || _ <- lists:seq(1, Workers)],
    wait_for(Pids),
    {Each * Workers, now_ns() - T}.

spawn_batches(N) when N =< 0 -> ok;
spawn_batches(N) ->
    Batch = min(N, 1000),
    Self = self(),
    Last = spawn_batch(Batch - 1, spawn(fun() -> receive _ -> Self ! last end end)),
    Last ! go,
    receive last -> spawn_batches(N - Batch) end.

%% The last one to answer is the first of the batch, which gets its message last.
spawn_batch(0, First) -> First;
spawn_batch(N, First) ->
    Pid = spawn(fun() -> receive _ -> ok end end),
    Pid ! go,
    spawn_batch(N - 1, First).

%% ---- idle: memory of a process that waits and has done nothing ----

idle() ->
    N = 1000000,
    erlang:garbage_collect(),
    Heap0 = erlang:memory(total),
    Rss0 = rss_bytes(),
    Pids = [spawn(fun idle_loop/0) || _ <- lists:seq(1, N)],
    [Pid ! touch || Pid <- [hd(Pids), lists:last(Pids)]],
    erlang:garbage_collect(),
    line("idle", (rss_bytes() - Rss0) / N, "B"),
    line("idle_runtime", (erlang:memory(total) - Heap0) / N, "B").

idle_loop() -> receive touch -> idle_loop() end.

rss_bytes() ->
    {ok, File} = file:open("/proc/self/statm", [read, raw]),
    {ok, Line} = file:read_line(File),
    ok = file:close(File),
    [_, Resident | _] = string:lexemes(Line, " "),
    list_to_integer(Resident) * 4096.

%% ---- remote: two nodes on loopback ----

remote() ->
    {PortA, PortB} = free_ports(),
    Environment = [{"BENCH_PORT_A", integer_to_list(PortA)}, {"BENCH_PORT_B", integer_to_list(PortB)}],
    Server = start_node("bench_b", "server", Environment),
    receive {Server, {data, {eol, "ready"}}} -> ok after 20000 -> remote_failed("the server does not start") end,
    Client = start_node("bench_a", "client", Environment),
    remote_lines(Client),
    port_close(Server).

remote_lines(Client) ->
    receive
        {Client, {data, {eol, "done"}}} -> ok;
        {Client, {data, {eol, Line}}} -> io:format("~s~n", [Line]), remote_lines(Client);
        {Client, {exit_status, Status}} -> remote_failed(io_lib:format("the client ended with ~b", [Status]))
    after 60000 -> remote_failed("no answer")
    end.

remote_failed(Why) ->
    io:format(standard_error, "bench: remote: ~s~n", [Why]),
    halt(1).

free_ports() ->
    {ok, A} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, B} = gen_tcp:listen(0, [{ip, {127, 0, 0, 1}}]),
    {ok, PortA} = inet:port(A),
    {ok, PortB} = inet:port(B),
    ok = gen_tcp:close(A),
    ok = gen_tcp:close(B),
    {PortA, PortB}.

start_node(Name, Function, Environment) ->
    Folder = filename:dirname(code:which(?MODULE)),
    Schedulers = integer_to_list(workers()),
    open_port({spawn_executable, os:find_executable("erl")},
              [{args, ["+S", Schedulers ++ ":" ++ Schedulers, "-noshell", "-pa", Folder, "-name", Name ++ "@127.0.0.1",
                       "-setcookie", "bench", "-epmd_module", "bench", "-start_epmd", "false",
                       "-kernel", "inet_dist_use_interface", "{127,0,0,1}", "-run", "bench", Function, "x"]},
               {env, Environment}, {line, 1024}, exit_status, use_stdio]).

%% Ends when the one who started it closes its standard input.
server(_) ->
    register(bench_echo, spawn(fun echo/0)),
    register(bench_sink, spawn_opt(fun() -> sink(0) end, [{message_queue_data, off_heap}])),
    io:format("ready~n"),
    io:get_line(""),
    halt(0).

echo() -> receive {From, Ref} -> From ! Ref, echo() end.

sink(N) ->
    receive
        {add, _} -> sink(N + 1);
        {From, Ref} -> From ! {Ref, N}, sink(0)
    end.

client(_) ->
    Server = 'bench_b@127.0.0.1',
    pong = net_adm:ping(Server),
    _ = asks({bench_echo, Server}, 2000, []),
    Times = lists:sort(asks({bench_echo, Server}, 20000, [])),
    line("remote_ask_p50", percentile(Times, 0.50) / 1.0e3, "us"),
    line("remote_ask_p99", percentile(Times, 0.99) / 1.0e3, "us"),
    rate("remote_oneway", "M/s", 50000, fun(N) -> oneway({bench_sink, Server}, N) end),
    io:format("done~n"),
    halt(0).

asks(_, 0, Times) -> Times;
asks(To, N, Times) ->
    Ref = make_ref(),
    T = now_ns(),
    To ! {self(), Ref},
    receive Ref -> asks(To, N - 1, [now_ns() - T | Times]) end.

percentile(Sorted, Part) -> lists:nth(max(1, round(length(Sorted) * Part)), Sorted).

%% Messages of 32 bytes, from 8 senders, until the last has arrived.
oneway(To, N) ->
    Self = self(),
    Each = N div 8,
    Value = binary:copy(<<"v">>, 32),
    T = now_ns(),
    Pids = [spawn_link(fun() -> oneway_send(To, Value, Each), Self ! {done, self()} end) || _ <- lists:seq(1, 8)],
    wait_for(Pids),
    oneway_wait(To, Each * 8),
    {Each * 8, now_ns() - T}.

oneway_send(_, _, 0) -> ok;
oneway_send(To, Value, N) -> To ! {add, Value}, oneway_send(To, Value, N - 1).

oneway_wait(_, 0) -> ok;
oneway_wait(To, Left) ->
    Ref = make_ref(),
    To ! {self(), Ref},
    receive {Ref, N} -> oneway_wait(To, Left - N) end.

%% ---- ports without epmd ----

port_of(Name) ->
    Variable = case lists:prefix("bench_a", to_list(Name)) of true -> "BENCH_PORT_A"; false -> "BENCH_PORT_B" end,
    list_to_integer(os:getenv(Variable)).

to_list(Name) when is_atom(Name) -> atom_to_list(Name);
to_list(Name) -> Name.

start_link() -> ignore.
register_node(Name, Port) -> register_node(Name, Port, inet).
register_node(_Name, _Port, _Family) -> {ok, 1}.
listen_port_please(Name, _Host) -> {ok, port_of(Name)}.
address_please(_Name, _Host, _Family) -> {ok, {127, 0, 0, 1}}.
port_please(Name, Host) -> port_please(Name, Host, infinity).
port_please(Name, _Host, _Timeout) -> {port, port_of(Name), 6}.
names(_Host) -> {error, address}.
