using System.CommandLine;
using System.Globalization;
using Nephos.LoadTests;
using Nephos.LoadTests.Reports;
using Nephos.LoadTests.Running;
using Nephos.LoadTests.Scenarios;

var state = new Option<string>("--state")
{
    Description = "State directory of the cloud",
    Recursive = true,
    DefaultValueFactory = _ => Environment.GetEnvironmentVariable("NEPHOS_STATE")
        ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state", "nephos"),
};
var seconds = new Option<int>("--seconds") { Description = "How long each load lasts", Recursive = true, DefaultValueFactory = _ => 5 };
var connections = new Option<int>("--connections") { Description = "Copies of the closed model", Recursive = true, DefaultValueFactory = _ => 16 };
var rate = new Option<double?>("--rate") { Description = "Open model: iterations a second, after a ramp of a fifth of the time", Recursive = true };
var report = new Option<string?>("--report") { Description = "Folder for report.html and report.json", Recursive = true };
var root = new RootCommand("Load scenarios against a running Nephos.") { state, seconds, connections, rate, report };

var face = new Option<string[]>("--face") { Description = "swift, s3 or both", DefaultValueFactory = _ => ["s3", "swift"], AllowMultipleArgumentsPerToken = true };
var operation = new Option<string[]>("--operation") { Description = "put, get, head, list, delete", DefaultValueFactory = _ => ["put", "get"], AllowMultipleArgumentsPerToken = true };
var size = new Option<string>("--size") { Description = "Object size: 4K, 1M, 64M", DefaultValueFactory = _ => "4K" };
var prepared = new Option<long?>("--objects") { Description = "Objects there before the load (default 256, or 4 large ones; 10000 for list, 20000 for delete)" };
var page = new Option<int>("--page") { Description = "Keys asked for in one listing", DefaultValueFactory = _ => 1000 };
var rounds = new Option<int>("--rounds") { Description = "How often each load runs; with a peer by turns", DefaultValueFactory = _ => 1 };
var peerSwift = new Option<string?>("--peer-swift") { Description = "A Swift to measure beside: its v1 authentication URL" };
var peerS3 = new Option<string?>("--peer-s3") { Description = "An S3 endpoint to measure beside" };
var peerUser = new Option<string>("--peer-user") { Description = "User or access key at the peer", DefaultValueFactory = _ => "" };
var peerKey = new Option<string>("--peer-key") { Description = "Key or secret key at the peer", DefaultValueFactory = _ => "" };
var peerRegion = new Option<string>("--peer-region") { Description = "Region of the peer's S3", DefaultValueFactory = _ => "us-east-1" };
var peerPids = new Option<string?>("--peer-pids") { Description = "Folder of the pid files of the peer's processes on this machine, for their processor time" };
var objects = new Command("object", "Objects through S3 and Swift, alone or beside a peer")
{
    face, operation, size, prepared, page, rounds, peerSwift, peerS3, peerUser, peerKey, peerRegion, peerPids,
};
objects.SetAction((parse, cancellationToken) => RunAsync(parse, async target =>
{
    var server = parse.GetValue(peerPids) is { } folder ? new ServerSessions(folder) : null;
    List<ObjectEndpoint> endpoints = [.. parse.GetValue(face)!.Select(name => ObjectEndpoint.Of(target, name))];
    if (parse.GetValue(peerSwift) is { } authUrl)
    {
        endpoints.Add(await ObjectEndpoint.SwiftAsync("peer", target.Http, authUrl, parse.GetValue(peerUser)!, parse.GetValue(peerKey)!, server, cancellationToken));
    }
    if (parse.GetValue(peerS3) is { } url)
    {
        endpoints.Add(ObjectEndpoint.S3("peer", url, parse.GetValue(peerUser)!, parse.GetValue(peerKey)!, parse.GetValue(peerRegion)!, server));
    }
    return
        from o in parse.GetValue(operation)!
        from round in Enumerable.Range(0, parse.GetValue(rounds))
        from endpoint in round % 2 == 0 ? endpoints : Enumerable.Reverse(endpoints)
        let load = new ObjectLoad(o, Bytes(parse.GetValue(size)!), parse.GetValue(prepared), parse.GetValue(page))
        select ObjectScenarios.Create(target.Http, endpoint, load, Load(parse));
}, cancellationToken));

var validation = new Command("validation", "Tokens verified in this process by one thread; needs no cloud");
validation.SetAction((parse, cancellationToken) => TokenValidation.RunAsync(TimeSpan.FromSeconds(parse.GetValue(seconds)), cancellationToken));

var tokens = new Command("tokens", "Tokens verified in process, issued by password and by token");
tokens.SetAction(async (parse, cancellationToken) =>
{
    await TokenValidation.RunAsync(TimeSpan.FromSeconds(parse.GetValue(seconds)), cancellationToken);
    return await RunAsync(parse, target => Made([ControlScenarios.IssueTokens(target, Load(parse)), ControlScenarios.IssueTokensByToken(target, Load(parse))]), cancellationToken);
});

var grpc = new Command("grpc", "Small calls over gRPC");
grpc.SetAction((parse, cancellationToken) => RunAsync(parse, target => Made([ControlScenarios.ListFlavors(target, Load(parse))]), cancellationToken));

var create = new Command("servers", "Requests to create servers; meant for --set Hypervisor:Driver=simulated");
create.SetAction((parse, cancellationToken) => RunAsync(parse, target => Made([ControlScenarios.CreateServers(target, Load(parse))]), cancellationToken));

var count = new Option<int>("--count") { Description = "Servers", DefaultValueFactory = _ => 200 };
var boot = new Command("boot", "Create servers, wait until all are ACTIVE, list them") { count };
boot.SetAction(async (parse, cancellationToken) =>
{
    using var target = await Target.OpenAsync(parse.GetValue(state)!, cancellationToken);
    await Boot.RunAsync(target, parse.GetValue(count), cancellationToken);
});

var few = new Option<int>("--count") { Description = "Servers", DefaultValueFactory = _ => 20 };
var latency = new Command("boot-latency", "Create servers one after the other; the time until QEMU runs and where it goes") { few };
latency.SetAction(async (parse, cancellationToken) =>
{
    using var target = await Target.OpenAsync(parse.GetValue(state)!, cancellationToken);
    using var scenario = new BootLatency(target);
    await scenario.RunAsync(parse.GetValue(few), cancellationToken);
});

var idle = new Command("idle", "Memory and processor time of the idle server");
idle.SetAction(async (parse, cancellationToken) =>
{
    using var target = await Target.OpenAsync(parse.GetValue(state)!, cancellationToken);
    await Task.Delay(TimeSpan.FromSeconds(2), cancellationToken);
    var before = target.Process.CpuTime();
    var period = TimeSpan.FromSeconds(parse.GetValue(seconds));
    await Task.Delay(period, cancellationToken);
    Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
        $"idle: {target.Process.ResidentBytes() / 1e6:0} MB resident, {(target.Process.CpuTime() - before) / period * 100:0.0} % of a core"));
});

foreach (var command in new[] { objects, validation, tokens, grpc, create, boot, latency, idle })
{
    root.Subcommands.Add(command);
}
return await root.Parse(args).InvokeAsync();

async Task<int> RunAsync(ParseResult parse, Func<Target, Task<IEnumerable<Scenario>>> scenarios, CancellationToken cancellationToken)
{
    using var target = await Target.OpenAsync(parse.GetValue(state)!, cancellationToken);
    var results = new List<(Scenario, ScenarioStats)>();
    foreach (var scenario in await scenarios(target))
    {
        Console.Error.WriteLine($"running {scenario.Name}");
        results.Add((scenario, await new ScenarioRunner().RunAsync(scenario, cancellationToken)));
    }
    ReportWriter.WriteConsole(results);
    if (parse.GetValue(report) is { } directory)
    {
        ReportWriter.WriteFiles(directory, results);
    }
    return results.All(result => result.Item2.Succeeded > 0 && result.Item2.Failed == 0) ? 0 : 1;
}

static Task<IEnumerable<Scenario>> Made(IEnumerable<Scenario> scenarios) => Task.FromResult(scenarios);

IReadOnlyList<LoadSimulation> Load(ParseResult parse)
{
    var during = TimeSpan.FromSeconds(parse.GetValue(seconds));
    return parse.GetValue(rate) is { } perSecond
        ? [new LoadSimulation.RampingInject(perSecond, during / 5), new LoadSimulation.Inject(perSecond, during)]
        : [new LoadSimulation.KeepConstant(parse.GetValue(connections), during)];
}

static long Bytes(string text) => text.ToUpperInvariant() switch
{
    [.. var number, 'K'] => long.Parse(number, CultureInfo.InvariantCulture) << 10,
    [.. var number, 'M'] => long.Parse(number, CultureInfo.InvariantCulture) << 20,
    [.. var number, 'G'] => long.Parse(number, CultureInfo.InvariantCulture) << 30,
    var number => long.Parse(number, CultureInfo.InvariantCulture),
};
