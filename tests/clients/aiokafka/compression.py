"""Every compression there and back with aiokafka."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def main(bootstrap):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("packed", num_partitions=1, replication_factor=1)])
    await admin.close()

    codecs = [None, "gzip", "snappy", "lz4", "zstd"]
    for codec in codecs:
        async with AIOKafkaProducer(
            bootstrap_servers=bootstrap, compression_type=codec, linger_ms=50
        ) as producer:
            sent = [
                await producer.send("packed", b"%d " % n + b"a" * 200, key=str(codec).encode(), headers=[("n", b"%d" % n)])
                for n in range(50)
            ]
            offsets = [(await future).offset for future in sent]
        print(f"{codec}: offsets {offsets[0]} to {offsets[-1]}")

    records = []
    async with AIOKafkaConsumer("packed", bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        while len(records) < 250:
            records.append(await consumer.getone())
    print("offsets in order:", [record.offset for record in records] == list(range(250)))
    for codec in codecs:
        mine = [(record.value, record.headers) for record in records if record.key == str(codec).encode()]
        whole = mine == [(b"%d " % n + b"a" * 200, (("n", b"%d" % n),)) for n in range(50)]
        print(f"{codec}: {len(mine)} records, whole: {whole}")


asyncio.run(main(sys.argv[1]))
