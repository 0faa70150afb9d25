using System.Collections.Immutable;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Client.Objects;

namespace Nephos.Node.Objects;

/// <summary>Adds the object engine to a process.</summary>
public static class ObjectEngineModule
{
    /// <summary>
    /// Registers <see cref="IObjectEngine"/>, opened when the host starts and closed when it stops. Register an
    /// <see cref="IConfigurationMaster"/> before this to keep the configuration elsewhere than in files.
    /// </summary>
    /// <exception cref="ArgumentException">When the engine is first asked for: the options are wrong.</exception>
    public static IServiceCollection AddObjectEngine(this IServiceCollection services, Func<IServiceProvider, ObjectEngineOptions> makeOptions)
    {
        services.AddSingleton(provider =>
        {
            var options = makeOptions(provider);
            options.Validate();
            return options;
        });
        services.TryAddSingleton<IConfigurationMaster>(
            provider => new FileConfigurationMaster(provider.GetRequiredService<ObjectEngineOptions>().ConfigurationDirectory));
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => new HostedObjectEngine(
            provider.GetRequiredService<ObjectEngineOptions>(),
            provider.GetRequiredService<IConfigurationMaster>(),
            provider.GetRequiredService<TimeProvider>(),
            provider.GetRequiredService<ILoggerFactory>()));
        services.AddSingleton<IObjectEngine>(provider => provider.GetRequiredService<HostedObjectEngine>());
        services.AddSingleton<IObjectRing>(provider => provider.GetRequiredService<HostedObjectEngine>());
        services.AddHostedService(provider => provider.GetRequiredService<HostedObjectEngine>());
        return services;
    }

    /// <summary>The engine with the life of the host; not there before it started.</summary>
    private sealed class HostedObjectEngine(
        ObjectEngineOptions options, IConfigurationMaster master, TimeProvider time, ILoggerFactory loggers) : IObjectEngine, IObjectRing, IHostedService, IAsyncDisposable
    {
        private ObjectEngine? _engine;

        public IPayloadStore Payloads => Engine.Payloads;

        public ImmutableArray<StoragePolicy> Policies => Engine.Policies;

        public IObjectNamespace Namespace => Engine.Namespace;

        private ObjectEngine Engine =>
            _engine ?? throw new ObjectEngineException(EngineFailure.Unavailable, "The object engine is not running.");

        public ObjectEngineStatus GetStatus() => Engine.GetStatus();

        RingStatus IObjectRing.GetStatus() => Engine.Ring.GetStatus();

        public RingPlan Plan(int device, double weight) => Engine.Ring.Plan(device, weight);

        public Task SetWeightAsync(int device, double weight, CancellationToken cancellationToken) =>
            Engine.Ring.SetWeightAsync(device, weight, cancellationToken);

        public Task AddAsync(int device, double weight, CancellationToken cancellationToken) => Engine.Ring.AddAsync(device, weight, cancellationToken);

        public Task SetPartitionPowerAsync(int partitionPower, CancellationToken cancellationToken) =>
            Engine.Ring.SetPartitionPowerAsync(partitionPower, cancellationToken);

        public Task RemoveAsync(int device, CancellationToken cancellationToken) => Engine.Ring.RemoveAsync(device, cancellationToken);

        public async Task StartAsync(CancellationToken cancellationToken) =>
            _engine = await ObjectEngine.OpenAsync(options, master, time, loggers, cancellationToken);

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public async ValueTask DisposeAsync()
        {
            var engine = _engine;
            _engine = null;
            if (engine is not null)
            {
                await engine.DisposeAsync();
            }
        }
    }
}
