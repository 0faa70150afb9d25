using System.CommandLine;

return await new RootCommand("Load scenarios against a running Nephos.").Parse(args).InvokeAsync();
