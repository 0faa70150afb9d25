using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Nephos.Kernel.State;
using Nephos.State.Etcd;

namespace Nephos.State;

public static class StateRegistration
{
    /// <summary>Adds the one <see cref="IStateStore"/> of the process; it is opened when first asked for.</summary>
    public static IServiceCollection AddStateStore(this IServiceCollection services, StateStoreOptions options)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(provider => Open(
            options, provider.GetRequiredService<TimeProvider>(), provider.GetService<ILoggerFactory>() ?? NullLoggerFactory.Instance));
        return services;
    }

    /// <summary>Opens a store outside of a container; the caller disposes it.</summary>
    /// <exception cref="ValidationException">The options contradict themselves.</exception>
    /// <exception cref="IOException">The embedded store cannot be opened.</exception>
    public static IStateStore Open(StateStoreOptions options, TimeProvider time, ILoggerFactory loggers)
    {
        Validator.ValidateObject(options, new ValidationContext(options), validateAllProperties: true);
        Validator.ValidateObject(options.History, new ValidationContext(options.History), validateAllProperties: true);
        return OpenEngine(options, time, loggers);
    }

    private static IStateStore OpenEngine(StateStoreOptions options, TimeProvider time, ILoggerFactory loggers) => options.Engine switch
    {
        StateEngine.RocksDb when options.Path.Length == 0 => throw new ValidationException("The embedded state store needs the path of a folder."),
        StateEngine.RocksDb => RocksDbStateStore.Open(options, time, loggers.CreateLogger<RocksDbStateStore>()),
        StateEngine.Memory => new InMemoryStateStore(time, options.History, loggers.CreateLogger<InMemoryStateStore>()),
        StateEngine.Etcd => new EtcdStateStore(options, time, loggers.CreateLogger<EtcdStateStore>()),
        _ => throw new ArgumentOutOfRangeException(nameof(options), options.Engine, "The engine is not known."),
    };
}
