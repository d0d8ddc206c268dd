{
  # A thin door for node-gyp and prebuildify: CMakeLists.txt describes the build.
  'targets': [
    {
      'target_name': 'resnet_native',
      'type': 'none',
      'actions': [
        {
          'action_name': 'cmake',
          'inputs': ['CMakeLists.txt'],
          'outputs': ['<(PRODUCT_DIR)/resnet_native.node'],
          'action': ['node', 'scripts/build-native.mjs', '--to', '<(PRODUCT_DIR)'],
        },
      ],
    },
  ],
}
