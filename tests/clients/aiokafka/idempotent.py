"""An idempotent aiokafka producer: in order, once each."""
import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic


async def main(bootstrap):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic("once", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap, enable_idempotence=True, max_batch_size=400
    ) as producer:
        sent = [await producer.send("once", b"%d" % n) for n in range(1000)]
        print("offsets are in order:", [(await future).offset for future in sent] == list(range(1000)))
    async with AIOKafkaConsumer("once", bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
        values = [int((await consumer.getone()).value) for _ in range(1000)]
    print("values are in order:", values == list(range(1000)))


asyncio.run(main(sys.argv[1]))
