// A real SMTP server for the suite: takes mail on a free port, prints a JSON line for its port and one for each mail.
// What it does with a mail is said by the recipient: `refuse@…` is refused for good, `later@…` for now. With a password as
// its argument it takes nobody who does not log in with it; with a certificate and its key as well it speaks TLS from the
// first byte on.
import { readFileSync } from 'node:fs';
import { SMTPServer } from 'smtp-server';

const say = (object) => process.stdout.write(`${JSON.stringify(object)}\n`);
const failing = (code, text) => Object.assign(new Error(text), { responseCode: code });

const [password, cert, key] = process.argv.slice(2);
const server = new SMTPServer({
  ...(cert && { secure: true, cert: readFileSync(cert), key: readFileSync(key) }),
  authOptional: !password,
  allowInsecureAuth: true,
  disabledCommands: password ? ['STARTTLS'] : ['STARTTLS', 'AUTH'],
  onAuth(auth, session, done) {
    return auth.password === password ? done(null, { user: auth.username }) : done(failing(535, 'wrong password'));
  },
  onRcptTo(address, session, done) {
    if (address.address.startsWith('refuse')) return done(failing(550, 'no such mailbox'));
    if (address.address.startsWith('later')) return done(failing(451, 'try again later'));
    return done();
  },
  onData(stream, session, done) {
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => {
      say({ to: session.envelope.rcptTo.map((to) => to.address), raw: Buffer.concat(chunks).toString('utf8') });
      done();
    });
  },
});
// Clients that do not trust it hang up.
server.on('error', () => {});
server.listen(0, '127.0.0.1', () => say({ port: server.server.address().port }));
// It ends with whoever started it.
process.stdin.resume();
process.stdin.on('end', () => process.exit(0));
