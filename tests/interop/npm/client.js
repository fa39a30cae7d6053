// SPDX-License-Identifier: LGPL-2.1-or-later
// client.js PORT USER:PASSWORD enumerate CLASS | get CLASS SELECTOR VALUE | invoke CLASS METHOD JSON | state CLASS ID NUMBER
// Sends what @device-management-toolkit/wsman-messages makes, and prints one JSON line: an array of
// {status, text}.
'use strict'
const http = require('http')
const { WSManMessageCreator, BaseActions } =
  require('@device-management-toolkit/wsman-messages/WSMan')
const PREFIX = 'http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/'
const [port, credentials, command, className, ...rest] = process.argv.slice(2)
const creator = new WSManMessageCreator(PREFIX)
const namespace = { name: '__cimnamespace', value: 'root/virtualization/v2' }

function post (body) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1', port, path: '/wsman', method: 'POST', auth: credentials,
      headers: {
        'Content-Type': 'application/soap+xml; charset=utf-8',
        'Content-Length': Buffer.byteLength(body)
      }
    }, (answer) => {
      let text = ''
      answer.on('data', (piece) => { text += piece })
      answer.on('end', () => resolve({ status: answer.statusCode, text }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

async function main () {
  const answers = []
  if (command === 'enumerate') {
    answers.push(await post(creator.createXml(
      creator.createHeader(BaseActions.ENUMERATE, className, namespace),
      creator.createCommonBody.Enumerate())))
    const context = /EnumerationContext[^>]*>([^<]*)</.exec(answers[0].text)
    while (context && !/EndOfSequence/.test(answers[answers.length - 1].text) &&
        answers.length < 100) {
      answers.push(await post(creator.createXml(
        creator.createHeader(BaseActions.PULL, className, namespace),
        creator.createCommonBody.Pull(context[1]))))
    }
  } else if (command === 'get') {
    const selector = rest.length ? { name: rest[0], value: rest[1] } : namespace
    answers.push(await post(creator.createXml(
      creator.createHeader(BaseActions.GET, className, selector), creator.createCommonBody.Get())))
  } else if (command === 'state') {
    const [id, state] = rest
    answers.push(await post(creator.createXml(
      creator.createHeader(PREFIX + className + '/RequestStateChange', className,
        { name: 'InstanceID', value: id }),
      creator.createCommonBody.RequestStateChange(PREFIX + className, Number(state)))))
  } else {
    const [method, data] = rest
    answers.push(await post(creator.createXml(
      creator.createHeader(PREFIX + className + '/' + method, className, namespace),
      creator.createBody(method + '_INPUT', className, JSON.parse(data)))))
  }
  console.log(JSON.stringify(answers))
}

main().catch((error) => { console.error(error); process.exitCode = 1 })
