"""An aiokafka member is killed with what it had not committed: the other takes over, no record is missing."""
import asyncio
import signal
import subprocess
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

PARTITIONS, RECORDS = 4, 200


async def member(bootstrap):
    """Tells each record on standard output after it has read it; never commits."""
    async with AIOKafkaConsumer(
        "inherited",
        bootstrap_servers=bootstrap,
        group_id="heirs",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=6000,
        heartbeat_interval_ms=300,
    ) as consumer:
        async for record in consumer:
            print(record.partition, record.offset, flush=True)


async def main(bootstrap):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("inherited", PARTITIONS, 1)])
    await admin.close()

    async def produce():
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for n in range(RECORDS):
                await producer.send("inherited", b"%d" % n, partition=n % PARTITIONS)

    def start():
        return subprocess.Popen(
            [sys.executable, __file__, bootstrap, "member"], stdout=subprocess.PIPE, text=True
        )

    await produce()
    victim = start()
    print("the victim read:", len([victim.stdout.readline() for _ in range(20)]))
    victim.send_signal(signal.SIGKILL)
    victim.wait()

    heir = start()
    await produce()
    expected = {(p, o) for p in range(PARTITIONS) for o in range(2 * RECORDS // PARTITIONS)}
    # Whoever runs this program bounds its time: a missing record is waited for until then.
    missing = set(expected)
    while missing:
        missing.discard(tuple(map(int, heir.stdout.readline().split())))
    print("nothing was committed, so the heir read all:", len(expected))
    heir.kill()
    heir.wait()


asyncio.run((member if len(sys.argv) > 2 else main)(sys.argv[1]))
