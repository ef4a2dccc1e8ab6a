"""Groups, commits, seeks and patterns with aiokafka."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def main(bootstrap):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(name, 1, 1) for name in ("aio-one", "aio-two")])
    await admin.close()
    first = TopicPartition("aio-one", 0)

    def member(group, **config):
        return AIOKafkaConsumer(
            bootstrap_servers=bootstrap,
            group_id=group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            **config,
        )

    async def take(consumer, count):
        return [await asyncio.wait_for(consumer.getone(), 20) for _ in range(count)]

    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for n in range(10):
            await producer.send_and_wait("aio-one", b"%d" % n, partition=0, timestamp_ms=1_700_000_000_000 + n)
        await producer.send_and_wait("aio-two", b"two")

    async with member(None) as consumer:
        consumer.assign([first])
        print("from the beginning:", [record.offset for record in await take(consumer, 2)])
        consumer.seek(first, 5)
        print("from offset 5:", [record.offset for record in await take(consumer, 2)])
        print("first offset:", (await consumer.beginning_offsets([first]))[first])
        print("end offset:", (await consumer.end_offsets([first]))[first])
        found = await consumer.offsets_for_times({first: 1_700_000_000_007})
        print("by time:", found[first].offset)

    async with member("choosers") as consumer:
        consumer.subscribe(["aio-one"])
        print("a member reads:", [record.offset for record in await take(consumer, 3)])
        await consumer.commit({first: 3})
    async with member("choosers") as consumer:
        consumer.subscribe(["aio-one"])
        print("committed:", await consumer.committed(first))
        print("the next goes on from there:", [record.offset for record in await take(consumer, 2)])

    async with member("by-pattern", metadata_max_age_ms=500) as consumer:
        consumer.subscribe(pattern="^aio-.*")
        print("by pattern:", sorted({record.topic for record in await take(consumer, 11)}))


asyncio.run(main(sys.argv[1]))
