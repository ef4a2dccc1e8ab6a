// Groups, commits, seeks and several topics with kafkajs.
const { Kafka, logLevel } = require('kafkajs')

async function main(bootstrap) {
  const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
  const admin = kafka.admin()
  await admin.connect()
  const topics = ['js-one', 'js-two'].map((topic) => ({ topic, numPartitions: 1, replicationFactor: 1 }))
  await admin.createTopics({ topics })

  const producer = kafka.producer()
  await producer.connect()
  for (const { topic } of topics) {
    const messages = [...Array(10).keys()].map((n) => ({ value: String(n), timestamp: String(1_700_000_000_000 + n) }))
    await producer.send({ topic, messages })
  }
  await producer.disconnect()

  // Reads until it has `count` records; `prepare` may seek once the member runs.
  async function read({ groupId, subscribe, count, prepare, ...config }) {
    const records = []
    const consumer = kafka.consumer({ groupId, heartbeatInterval: 300, maxWaitTimeInMs: 300 })
    await consumer.connect()
    await consumer.subscribe({ fromBeginning: true, ...subscribe })
    await new Promise((resolve) => {
      consumer.run({
        ...config,
        eachMessage: async ({ topic, message }) => {
          if (records.length < count) records.push(`${topic}@${message.offset}`)
          if (records.length === count) resolve()
        },
      })
      if (prepare) prepare(consumer)
    })
    return { consumer, records }
  }

  let { consumer, records } = await read({
    groupId: 'choosers',
    subscribe: { topics: ['js-one'] },
    count: 3,
    autoCommit: false,
  })
  console.log('a member reads:', records.join(' '))
  await consumer.commitOffsets([{ topic: 'js-one', partition: 0, offset: '3' }])
  await consumer.disconnect()
  const committed = async () => (await admin.fetchOffsets({ groupId: 'choosers', topics: ['js-one'] }))[0].partitions
  console.log('committed:', (await committed())[0].offset)

  ;({ consumer, records } = await read({
    groupId: 'choosers',
    subscribe: { topics: ['js-one'] },
    count: 7,
    autoCommit: true,
  }))
  console.log('the next goes on from there:', records.join(' '))
  await consumer.disconnect()
  console.log('its end has committed:', (await committed())[0].offset)

  ;({ consumer, records } = await read({
    groupId: 'seekers',
    subscribe: { topics: ['js-one'], fromBeginning: false },
    count: 2,
    prepare: (consumer) => consumer.seek({ topic: 'js-one', partition: 0, offset: '8' }),
  }))
  console.log('from offset 8:', records.join(' '))
  await consumer.disconnect()

  ;({ consumer, records } = await read({ groupId: 'by-pattern', subscribe: { topics: [/^js-/] }, count: 20 }))
  console.log('by pattern:', new Set(records.map((record) => record.split('@')[0])).size, 'topics')
  await consumer.disconnect()

  const offsets = await admin.fetchTopicOffsets('js-one')
  console.log('first and end offset:', offsets[0].low, offsets[0].high)
  console.log('by time:', (await admin.fetchTopicOffsetsByTimestamp('js-one', 1_700_000_000_007))[0].offset)
  await admin.disconnect()
}

main(process.argv[2])
