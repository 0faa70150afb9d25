return await Nephos.Host.CommandLine.RunAsync(args);
