// The bundled page: the styles and the workers from the bundle, then the page that the CDN build shares.
//
// Not `graphiql/style.css`: that one holds Monaco's styles a second time.
import '@graphiql/react/font/roboto.css';
import '@graphiql/react/font/fira-code.css';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import '@graphiql/plugin-explorer/style.css';
import './workers.js';
import '../cdn.js';
