// An idempotent kafkajs producer: in order, once each.
const { Kafka, logLevel } = require('kafkajs')

async function main(bootstrap) {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'once', numPartitions: 1, replicationFactor: 1 }] })

  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  const offsets = []
  for (let batch = 0; batch < 50; batch++) {
    const messages = [...Array(10).keys()].map((n) => ({ value: String(batch * 10 + n) }))
    const [told] = await producer.send({ topic: 'once', acks: -1, messages })
    offsets.push(Number(told.baseOffset))
  }
  await producer.disconnect()
  console.log('offsets are in order:', offsets.every((offset, batch) => offset === batch * 10))
  const [{ high }] = await admin.fetchTopicOffsets('once')
  console.log('end offset:', high)
  await admin.disconnect()
}

main(process.argv[2])
