export const SERVE_FORMAT = 'resnet-native-serve';
