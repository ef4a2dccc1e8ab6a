// Every compression there and back with kafkajs.
const { Kafka, logLevel } = require('kafkajs')
const CompressionTypes = require('./codecs')

async function main(bootstrap) {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic: 'packed', numPartitions: 1, replicationFactor: 1 }] })
  await admin.disconnect()

  const names = ['None', 'GZIP', 'Snappy', 'LZ4', 'ZSTD']
  const pad = 'a'.repeat(200)
  const producer = kafka.producer()
  await producer.connect()
  for (const name of names) {
    const messages = [...Array(50).keys()].map((n) => ({
      key: name,
      value: `${n} ${pad}`,
      headers: { n: String(n) },
    }))
    const [told] = await producer.send({ topic: 'packed', acks: -1, compression: CompressionTypes[name], messages })
    console.log(`${name}: from offset ${told.baseOffset}`)
  }
  await producer.disconnect()

  const records = []
  const consumer = kafka.consumer({ groupId: 'unpackers' })
  await consumer.connect()
  await consumer.subscribe({ topics: ['packed'], fromBeginning: true })
  await new Promise((resolve) =>
    consumer.run({
      eachMessage: async ({ message }) => {
        records.push(message)
        if (records.length === 250) resolve()
      },
    })
  )
  await consumer.disconnect()
  console.log('offsets in order:', records.every((record, at) => Number(record.offset) === at))
  for (const name of names) {
    const mine = records.filter((record) => String(record.key) === name)
    const whole = mine.every(
      (record, n) => String(record.value) === `${n} ${pad}` && String(record.headers.n) === String(n)
    )
    console.log(`${name}: ${mine.length} records, whole: ${whole}`)
  }
}

main(process.argv[2])
