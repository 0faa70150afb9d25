using System.ComponentModel.DataAnnotations;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Nephos.Hosting.Authentication;
using Nephos.Hosting.Configuration;
using Nephos.Hosting.Discovery;
using Nephos.Hosting.Grpc;
using Nephos.Hosting.Grpc.InProcess;
using Nephos.Hosting.Readiness;
using Nephos.Hosting.Rest;
using Nephos.Hosting.StatusPages;
using Nephos.Hosting.Telemetry;
using Nephos.Kernel.Reconciliation;
using Nephos.State;

namespace Nephos.Hosting;

/// <summary>Composes a process out of roles.</summary>
public static class NephosApplication
{
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(15);

    /// <summary>Builds the process; it listens once <c>RunAsync</c> is called on the result.</summary>
    /// <param name="settings">Configuration that wins over files and environment, e.g. from the command line.</param>
    /// <exception cref="ValidationException">The configuration is wrong; all problems of the process and of its roles in one message.</exception>
    public static WebApplication Build(IReadOnlyList<Role> roles, IReadOnlyCollection<KeyValuePair<string, string?>> settings)
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration
            .AddJsonFile("nephos.json", optional: true)
            .AddEnvironmentVariables()
            .AddInMemoryCollection(settings);
        var options = Bind(new NephosOptions(), builder.Configuration, NephosOptions.Section);

        builder.Logging.AddConfiguration(builder.Configuration.GetSection("Logging"))
            .AddSimpleConsole(console =>
            {
                console.SingleLine = true;
                console.UseUtcTimestamp = true;
                console.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                console.IncludeScopes = true;
                console.ColorBehavior = Microsoft.Extensions.Logging.Console.LoggerColorBehavior.Disabled;
            })
            .AddFilter("Microsoft", LogLevel.Warning)
            // The readiness gate says what is missing, less often.
            .AddFilter("Microsoft.Extensions.Diagnostics.HealthChecks", LogLevel.None)
            .AddFilter("Grpc", LogLevel.Warning)
            .AddFilter("System.Net.Http", LogLevel.Warning);
        builder.Services.Configure<HostOptions>(host => host.ShutdownTimeout = StopTimeout);
        AddPlatform(builder, options);
        var chosen = roles.Where(role => options.HasRole(role)).ToList();
        builder.Services.AddSingleton(new ProcessRoles([.. chosen.Select(role => role.Name)]));
        chosen.ForEach(role => role.Add(builder));
        RequireSound(builder, options, roles, settings);
        Directory.CreateDirectory(options.StateDirectory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        var app = builder.Build();
        app.UseRouting();
        app.UseMiddleware<RestMiddleware>();
        app.MapGrpcReflectionService();
        app.MapGrpcHealthChecksService();
        app.MapGrpcService<ProcessStatusGrpcService>();
        app.MapGrpcService<StateBackupsGrpcService>();
        app.MapGet("/healthcheck", PlatformChecks.AnswerAsync);
        app.MapTelemetry();
        chosen.ForEach(role => role.Map(app));
        app.Services.GetRequiredService<InProcessServices>().Take(((IEndpointRouteBuilder)app).DataSources);
        return app;
    }

    /// <summary>The options with what can be bound; the rest is told by <see cref="RequireSound"/>.</summary>
    private static T Bind<T>(T options, IConfiguration configuration, string section)
    {
        try
        {
            configuration.GetSection(section).Bind(options);
        }
        catch (InvalidOperationException)
        {
            // A value of the wrong type, which is told with everything else that is wrong.
        }
        return options;
    }

    private static void RequireSound(
        WebApplicationBuilder builder, NephosOptions options, IReadOnlyList<Role> roles, IReadOnlyCollection<KeyValuePair<string, string?>> settings)
    {
        var sections = builder.Services.Select(service => service.ImplementationInstance).OfType<OptionsSection>().DistinctBy(section => section.Name).ToList();
        var names = roles.Select(role => role.Name).ToList();
        var problems = OptionsCheck.Find(builder.Configuration, settings, sections, roles.SelectMany(role => role.Sections));
        problems.AddRange(options.Roles.Where(name => name != "all" && !names.Contains(name))
            .Select(name => $"{NephosOptions.Section}:Roles: there is no role '{name}'; {Nearest.Hint(name, ["all", .. names])}"));
        if (problems.Count > 0)
        {
            throw new ValidationException(string.Join(Environment.NewLine, problems));
        }
    }

    private static void AddPlatform(WebApplicationBuilder builder, NephosOptions options)
    {
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => Listen(kestrel, options));
        if (options.ServesTls || options.ServesClusterOnly)
        {
            builder.WebHost.UseKestrelHttpsConfiguration();
        }
        var services = builder.Services;
        services.AddSingleton(options);
        services.AddSingleton(new OptionsSection(NephosOptions.Section, typeof(NephosOptions)));
        services.AddSingleton(new OptionsSection("State", typeof(StateStoreOptions)));
        services.AddSingleton(TimeProvider.System);
        services.AddSingleton<IMemoryPoolFactory<byte>>(new ConnectionBuffers());
        services.AddHostedService<StateTablesUpkeep>();
        services.AddRouting();
        services.AddSingleton<RestDialects>();
        services.AddNephosAuthentication();
        services.AddDiscovery(builder.Configuration);
        services.AddSingleton<InProcessServices>();
        services.AddSingleton(provider => new ServiceChannels(
            options, provider.GetRequiredService<IServiceDirectory>(), provider.GetRequiredService<InProcessServices>(), provider.GetRequiredService<TimeProvider>()));
        services.AddSingleton<ServiceCalls>();
        services.AddGrpc(grpc =>
        {
            grpc.Interceptors.Add<OperationInterceptor>();
            grpc.MaxReceiveMessageSize = ServiceChannels.MaxMessageBytes;
            grpc.MaxSendMessageSize = ServiceChannels.MaxMessageBytes;
        });
        services.AddSingleton<OperationInterceptor>();
        services.AddGrpcReflection();
        services.AddGrpcHealthChecks().AddPlatformChecks();
        services.AddSingleton<ReadinessGate>();
        services.AddSingleton<IStatusFacts>(provider => provider.GetRequiredService<ReadinessGate>());
        services.AddHostedService(provider => provider.GetRequiredService<ReadinessGate>());
        services.AddNephosTelemetry(builder.Configuration, options);
        services.AddStateStore(Bind(new StateStoreOptions { Path = Path.Combine(options.StateDirectory, "state") }, builder.Configuration, "State"));
        services.TryAddSingleton<ReconcilerRegistry>();
        services.AddSingleton<ProcessStatusGrpcService>();
        services.AddSingleton<StateBackupsGrpcService>();
        services.AddHostedService(provider => new IdleMemory(provider.GetRequiredService<TimeProvider>()));
    }

    private static void Listen(KestrelServerOptions kestrel, NephosOptions options)
    {
        kestrel.AddServerHeader = false;
        // Metadata of objects comes and goes in headers, and may be any text.
        kestrel.ResponseHeaderEncodingSelector = static _ => Encoding.UTF8;
        // Routes that read bodies bound them: JSON by RestCall, object data by the object store's own limits.
        kestrel.Limits.MaxRequestBodySize = null;
        kestrel.Limits.MaxRequestHeadersTotalSize = 128 * 1024;
        kestrel.Limits.MaxRequestHeaderCount = 300;
        kestrel.Limits.MaxRequestLineSize = 32 * 1024;
        kestrel.Limits.Http2.InitialConnectionWindowSize = 8 * 1024 * 1024;
        kestrel.Limits.Http2.InitialStreamWindowSize = 1024 * 1024;
        kestrel.Limits.Http2.MaxStreamsPerConnection = 1000;
        var plain = AddressOf(options.PlainAddress);
        foreach (var (port, protocols) in new[]
        {
            (options.RestPort, HttpProtocols.Http1), (options.GrpcPort, HttpProtocols.Http2), (options.S3Port, HttpProtocols.Http1),
        })
        {
            kestrel.Listen(plain, port, listen =>
            {
                listen.Protocols = protocols;
                if (options.ServesClusterOnly)
                {
                    listen.UseHttps(options.LoadClusterTls()!.ServerOptions);
                }
            });
        }
        if (options is { ServesTls: true, TlsCertificateFile: { } certificate, TlsKeyFile: { } key })
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPemFile(certificate);
            kestrel.Listen(AddressOf(options.ListenAddress), options.TlsPort, listen =>
            {
                listen.Protocols = HttpProtocols.Http1AndHttp2;
                listen.UseHttps(new HttpsConnectionAdapterOptions
                {
                    ServerCertificate = X509Certificate2.CreateFromPemFile(certificate, key), ServerCertificateChain = chain,
                });
            });
        }
    }

    private static IPAddress AddressOf(string listen) => listen == "*" ? IPAddress.Any : IPAddress.Parse(listen);
}
