using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Nephos.Hosting.Discovery;

/// <summary>Discovery by Consul: this process registers its roles once it listens, and follows the healthy processes of the others.</summary>
/// <remarks>
/// What was known stays in use while the agent does not answer. The registration is repeated, since an agent that lost its state has
/// lost it too.
/// </remarks>
internal sealed partial class ConsulServices(
    ConsulAgent agent, ConsulOptions consul, NephosOptions options, ProcessRoles here, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<ConsulServices> logger) : BackgroundService, IHostedLifecycleService, IServiceDirectory
{
    private const string SchemeMeta = "scheme";

    private static readonly TimeSpan RegisterInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan PauseAfterFailure = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan CheckTimeout = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan DeregisterPatience = TimeSpan.FromSeconds(3);

    private readonly ConcurrentDictionary<string, Lazy<Followed>> _followed = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _stop = new();

    public IReadOnlyList<Uri>? AddressesOf(string service) =>
        here.Names.Contains(service) ? null : _followed.GetOrAdd(service, name => new Lazy<Followed>(() => Follow(name))).Value.Addresses;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Before the process stops listening, so that nobody is sent to it any more while it answers what it got.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(DeregisterPatience);
        foreach (var role in here.Names)
        {
            try
            {
                await agent.DeregisterAsync(IdOf(role), patience.Token);
            }
            catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
            {
                LogDeregisterFailed(role, exception.Message);
            }
        }
    }

    public Task StoppedAsync(CancellationToken cancellationToken) => _stop.CancelAsync();

    public override void Dispose()
    {
        _stop.Dispose();
        base.Dispose();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(() => started.TrySetResult());
        await started.Task.WaitAsync(stoppingToken);
        var failed = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                foreach (var role in here.Names)
                {
                    await agent.RegisterAsync(RegistrationOf(role), stoppingToken);
                }
                failed = false;
            }
            catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !stoppingToken.IsCancellationRequested))
            {
                // Once, not at every attempt.
                if (!failed)
                {
                    LogRegisterFailed(exception.Message);
                }
                failed = true;
            }
            await Task.Delay(failed ? PauseAfterFailure : RegisterInterval, time, stoppingToken);
        }
    }

    private string IdOf(string role) => $"{consul.Prefix}{role}-{options.NodeName}-{options.GrpcPort}";

    private ConsulRegistration RegistrationOf(string role)
    {
        var address = consul.AdvertiseAddress.Length > 0 ? consul.AdvertiseAddress : options.OwnAddress;
        var isSecure = options.ClusterCertificateFile is not null;
        return new ConsulRegistration(
            IdOf(role), consul.Prefix + role, address, options.GrpcPort,
            new Dictionary<string, string> { [SchemeMeta] = isSecure ? Uri.UriSchemeHttps : Uri.UriSchemeHttp },
            // The agent has no certificate of the cluster, so there it can only see that the process listens.
            new ConsulCheck(
                isSecure ? null : $"http://{address}:{options.RestPort}/healthcheck", isSecure ? $"{address}:{options.GrpcPort}" : null,
                Seconds(consul.CheckInterval), Seconds(CheckTimeout), Seconds(consul.ForgetAfter)));
    }

    private Followed Follow(string service)
    {
        var followed = new Followed();
        followed.Following = Task.Run(() => FollowAsync(service, followed, _stop.Token));
        return followed;
    }

    private async Task FollowAsync(string service, Followed followed, CancellationToken cancellationToken)
    {
        var (index, failed) = (0UL, false);
        while (!cancellationToken.IsCancellationRequested)
        {
            try
            {
                (var instances, index) = await agent.FindHealthyAsync(consul.Prefix + service, index, cancellationToken);
                followed.Addresses = [.. instances.Select(AddressOf).OrderBy(address => address.ToString(), StringComparer.Ordinal)];
                failed = false;
                if (index > 0)
                {
                    continue;
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or JsonException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
            {
                if (!failed)
                {
                    LogLost(service, exception.Message);
                }
                (index, failed) = (0, true);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            await Task.Delay(PauseAfterFailure, time, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static Uri AddressOf(ConsulInstance instance) => new UriBuilder(
        instance.Service.Meta?.GetValueOrDefault(SchemeMeta) == Uri.UriSchemeHttps ? Uri.UriSchemeHttps : Uri.UriSchemeHttp,
        string.IsNullOrEmpty(instance.Service.Address) ? instance.Node.Address : instance.Service.Address, instance.Service.Port).Uri;

    private static string Seconds(TimeSpan time) => $"{(int)time.TotalSeconds}s";

    [LoggerMessage(LogLevel.Warning, "The roles of this process could not be registered with Consul and are tried again: {Reason}")]
    private partial void LogRegisterFailed(string reason);

    [LoggerMessage(LogLevel.Warning, "{Role} could not be deregistered from Consul, which will find it unhealthy: {Reason}")]
    private partial void LogDeregisterFailed(string role, string reason);

    [LoggerMessage(LogLevel.Warning, "Consul does not say where {Service} is; what was known stays: {Reason}")]
    private partial void LogLost(string service, string reason);

    private sealed class Followed
    {
        private IReadOnlyList<Uri> _addresses = [];

        public Task Following { get; set; } = Task.CompletedTask;

        public IReadOnlyList<Uri> Addresses
        {
            get => Volatile.Read(ref _addresses);
            set => Volatile.Write(ref _addresses, value);
        }
    }
}

/// <summary>The names of the roles of this process.</summary>
internal sealed record ProcessRoles(IReadOnlyCollection<string> Names);
