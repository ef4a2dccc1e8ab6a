// A kafkajs member is killed with what it had not committed: the other takes over, no record is missing.
const { spawn } = require('child_process')
const readline = require('readline')
const { Kafka, logLevel } = require('kafkajs')

const PARTITIONS = 4
const RECORDS = 200

// Tells each record on standard output after it has read it; never commits.
async function member(kafka) {
  const consumer = kafka.consumer({ groupId: 'heirs', sessionTimeout: 6000, heartbeatInterval: 300 })
  await consumer.connect()
  await consumer.subscribe({ topics: ['inherited'], fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ partition, message }) => console.log(`${partition} ${message.offset}`),
  })
}

// Starts a member; comes back when it has told `enough`.
async function start(bootstrap, enough) {
  const child = spawn(process.execPath, [__filename, bootstrap, 'member'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const seen = new Set()
  for await (const line of readline.createInterface({ input: child.stdout })) {
    seen.add(line)
    if (enough(seen)) break
  }
  child.kill('SIGKILL')
  return seen
}

async function main(kafka, bootstrap) {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic: 'inherited', numPartitions: PARTITIONS, replicationFactor: 1 }],
  })
  await admin.disconnect()
  const producer = kafka.producer()
  await producer.connect()
  const produce = () =>
    producer.send({
      topic: 'inherited',
      messages: [...Array(RECORDS).keys()].map((n) => ({ value: String(n), partition: n % PARTITIONS })),
    })
  await produce()
  await start(bootstrap, (seen) => seen.size === 20)
  console.log('the victim read: 20')
  await produce()
  await producer.disconnect()
  // Whoever runs this program bounds its time: a missing record is waited for until then.
  const seen = await start(bootstrap, (seen) => seen.size === 2 * RECORDS)
  console.log('nothing was committed, so the heir read all:', seen.size)
}

const [bootstrap, role] = process.argv.slice(2)
const kafka = new Kafka({ brokers: [bootstrap], logLevel: logLevel.ERROR })
role === 'member' ? member(kafka) : main(kafka, bootstrap)
