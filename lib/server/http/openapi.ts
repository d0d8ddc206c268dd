// The image endpoints as an OpenAPI document. The schemas of queries are also what Fastify checks requests by.

export const CLASSIFY_QUERY = {
  type: 'object',
  properties: {
    model: { type: 'string', description: 'Name of the model; may be left out where there is only one.' },
    top: {
      type: 'integer',
      minimum: 1,
      maximum: 1000,
      default: 5,
      description: 'How many classes to give for each image, likeliest first.',
    },
  },
} as const;

export const EMBED_QUERY = {
  type: 'object',
  properties: {
    model: CLASSIFY_QUERY.properties.model,
    output: {
      type: 'string',
      description: 'The features to give; default: the first that the model is served with.',
    },
  },
} as const;

const file = { type: ['string', 'null'], description: 'Its name in the form; null for a plain body.' };
const failure = {
  type: 'object',
  required: ['code', 'message'],
  properties: { code: { type: 'string' }, message: { type: 'string' } },
};

const ERROR = {
  description: 'What was wrong, what was expected and what to do.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        required: ['error', 'code'],
        properties: { error: { type: 'string' }, code: { type: 'string' } },
      },
    },
  },
};

const IMAGES = {
  required: true,
  content: {
    'multipart/form-data': {
      schema: { type: 'object', additionalProperties: { type: 'string', format: 'binary' } },
    },
    ...Object.fromEntries(
      ['image/jpeg', 'image/png', 'image/webp'].map((type) => [
        type,
        { schema: { type: 'string', format: 'binary' } },
      ]),
    ),
  },
};

const PREDICTION = {
  type: 'object',
  required: ['index', 'label', 'probability'],
  properties: {
    index: { type: 'integer', minimum: 0 },
    label: { type: ['string', 'null'] },
    probability: { type: 'number', minimum: 0, maximum: 1 },
  },
};

function imagesAnswer(description: string, properties: object) {
  const image = { type: 'object', required: ['file'], properties: { file, ...properties, error: failure } };
  const schema = {
    type: 'object',
    required: ['model', 'version', 'images'],
    properties: {
      model: { type: 'string' },
      version: { type: 'string' },
      images: { type: 'array', items: image },
    },
  };
  return { description, content: { 'application/json': { schema } } };
}

type Query = { readonly properties: Readonly<Record<string, { readonly description: string }>> };

function parameters({ properties }: Query) {
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    description,
    schema,
  }));
}

const ERRORS = Object.fromEntries(
  [400, 401, 404, 413, 415, 429, 500, 503].map((status) => [String(status), ERROR] as const),
);

/** The document for `GET /openapi.json`. */
export function openApi(version: string, withToken: boolean) {
  const classify = { results: { type: 'array', items: PREDICTION } };
  const embed = {
    output: { type: 'string' },
    shape: { type: 'array', items: { type: 'integer', minimum: 1 } },
    embedding: { type: 'array', items: { type: 'number' } },
  };
  return {
    openapi: '3.1.0',
    info: {
      title: 'resnet-native',
      version,
      description:
        'Image classification and embeddings. The Open Inference Protocol is served beside it under /v2.',
    },
    ...(withToken && {
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    }),
    paths: {
      '/v1/classify': {
        post: {
          operationId: 'classify',
          summary: 'Say what images show',
          parameters: parameters(CLASSIFY_QUERY),
          requestBody: IMAGES,
          responses: {
            200: imagesAnswer('The likeliest classes of each image, in their order.', classify),
            ...ERRORS,
          },
        },
      },
      '/v1/embed': {
        post: {
          operationId: 'embed',
          summary: 'Compute features of images',
          parameters: parameters(EMBED_QUERY),
          requestBody: IMAGES,
          responses: { 200: imagesAnswer('The features of each image, in their order.', embed), ...ERRORS },
        },
      },
    },
  };
}
