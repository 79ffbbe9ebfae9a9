"""Systems from PyPI or Debian; each is imported when it is asked for."""

import os

from callers import Awaited, Blocking
from work import Work


class Pykka(Blocking):
    """Actors as threads."""

    name = "Pykka"
    light_count = 1000

    def start(self, count):
        import pykka

        class Actor(pykka.ThreadingActor):
            def __init__(self):
                super().__init__()
                self.work = Work()

            def on_receive(self, message):
                return getattr(self.work, message[0])(*message[1])

        self.registry = pykka.ActorRegistry
        self.kind = Actor
        return [self.spawn() for _ in range(count)]

    def spawn(self):
        return self.kind.start()

    def send(self, actor, method, *arguments):
        return actor.ask((method, arguments), block=False)

    def result(self, future):
        return future.get()

    def stop(self):
        self.registry.stop_all()


class Dask(Awaited):
    """Actors of dask.distributed, in processes of one thread each."""

    name = "Dask"

    async def start(self, count):
        import distributed

        self.cluster = await distributed.LocalCluster(n_workers=count, threads_per_worker=1, processes=True, asynchronous=True,
                                                      dashboard_address=None, silence_logs=50)
        self.client = await distributed.Client(self.cluster, asynchronous=True)
        await self.client.wait_for_workers(count)
        self.workers = [worker.worker_address for worker in self.cluster.workers.values()]
        self.started = 0
        return [await self.spawn() for _ in range(count)]

    async def spawn(self):
        worker = self.workers[self.started % len(self.workers)]
        self.started += 1
        return await self.client.submit(Work, actor=True, pure=False, workers=[worker])

    async def ask(self, actor, method, *arguments):
        return await getattr(actor, method)(*arguments)

    async def stop(self):
        await self.client.close()
        await self.cluster.close()


class Ray(Awaited):
    name = "Ray"

    async def start(self, count):
        os.environ.update(RAY_DEDUP_LOGS="0", RAY_USAGE_STATS_ENABLED="0")
        import ray

        self.ray = ray
        here = os.path.dirname(os.path.abspath(__file__))
        ray.init(num_cpus=count, include_dashboard=False, log_to_driver=False, logging_level="ERROR", configure_logging=False,
                 runtime_env={"env_vars": {"PYTHONPATH": here}}, object_store_memory=300 * 2**20)
        self.kind = ray.remote(num_cpus=0, max_restarts=-1)(Work)
        return [await self.spawn() for _ in range(count)]

    async def spawn(self):
        return self.kind.remote()

    async def ask(self, actor, method, *arguments):
        return await getattr(actor, method).remote(*arguments)

    async def one_by_one(self, actor, method, arguments, count):
        """ray.get() from plain code is its quickest way."""
        import time

        bound, seconds = getattr(actor, method), []
        for _ in range(count):
            started = time.perf_counter()
            self.ray.get(bound.remote(*arguments))
            seconds.append(time.perf_counter() - started)
        return seconds

    async def in_flight(self, actors, method, arguments, count, window):
        import time

        started = time.perf_counter()
        for first in range(0, count, window):
            self.ray.get([getattr(actors[number % len(actors)], method).remote(*arguments)
                          for number in range(first, min(first + window, count))])
        return time.perf_counter() - started

    async def stop(self):
        self.ray.shutdown()


class Xoscar(Awaited):
    """A pool with a process for each actor."""

    name = "xoscar"
    light_count = 10_000

    async def start(self, count):
        import xoscar
        from xoscar_work import XoscarWork

        self.xoscar = xoscar
        self.kind = XoscarWork
        here = os.path.dirname(os.path.abspath(__file__))
        os.environ["PYTHONPATH"] = here
        self.pool = await xoscar.create_actor_pool("127.0.0.1:0", n_process=count)
        self.started = 0
        return [await self.spawn() for _ in range(count)]

    async def spawn(self):
        strategy = self.xoscar.allocate_strategy.ProcessIndex(1 + self.started % max(1, len(self.pool.sub_processes)))
        self.started += 1
        return await self.xoscar.create_actor(self.kind, address=self.pool.external_address, uid=f"work-{self.started}",
                                              allocate_strategy=strategy)

    async def ask(self, actor, method, *arguments):
        return await getattr(actor, method)(*arguments)

    async def stop(self):
        await self.pool.stop()


class Thespian(Blocking):
    """Its TCP base, whose actors are processes. One ask at a time is all that its API has for callers outside."""

    name = "Thespian"
    has_windows = False

    def start(self, count):
        from thespian.actors import ActorSystem

        from thespian_work import ThespianWork

        self.system = ActorSystem("multiprocTCPBase")
        self.kind = ThespianWork
        return [self.spawn() for _ in range(count)]

    def spawn(self):
        return self.system.createActor(self.kind)

    def ask(self, actor, method, *arguments):
        return self.system.ask(actor, (method, arguments), 60)

    def send(self, actor, method, *arguments):
        self.system.tell(actor, (method, arguments))

    def result(self, _):
        return self.system.listen(60)

    def stop(self):
        self.system.shutdown()


SYSTEMS = {kind.name: kind for kind in (Pykka, Dask, Ray, Xoscar, Thespian)}
PACKAGES = {"Pykka": "pykka", "Dask": "distributed", "Ray": "ray", "xoscar": "xoscar", "Thespian": "thespian"}
