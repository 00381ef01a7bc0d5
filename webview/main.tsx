import '@xyflow/react/dist/base.css';
import './styles/main.css';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { createApp } from './app/app';
import { AppProvider } from './app/context';
import { connect } from './host';
import { Root } from './root';

const app = createApp(connect());

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <AppProvider value={app}>
      <Root />
    </AppProvider>
  </StrictMode>,
);
